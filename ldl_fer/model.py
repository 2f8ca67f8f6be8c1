"""LDLVA as a Keras model: train_step wires the equations to what remembers and learns."""

import inspect
from typing import NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.bank import NeighborBank
from ldl_fer.config import MethodConfig
from ldl_fer.layers import NO_CLASS, ClassCenters, SampleUncertainty, SimilarityCalibrator
from ldl_fer.micro_batches import pass_in_parts

LossScaleOptimizer = tf.keras.mixed_precision.LossScaleOptimizer


class Neighbors(NamedTuple):
    """What the network says of each sample's neighbors; no gradient flows into it."""

    features: tf.Tensor  # [B, K, V]
    probabilities: tf.Tensor  # [B, K, C]
    seen: tf.Tensor  # [B, K], 1 or 0; a neighbor not seen yet contributes nothing


class CenterRows(NamedTuple):
    """What the centers see: R rows per sample, the first its own."""

    center_features: tf.Tensor  # [B, R, V]
    center_labels: tf.Tensor  # [B, R]
    center_weights: tf.Tensor  # [B, R], 1 - lambda


class Construction(NamedTuple):
    """A target distribution and what it was made from."""

    calibration: tf.Tensor  # [B, K], zeta
    contribution: tf.Tensor  # [B, K], c
    aggregated: tf.Tensor  # [B, C], d~
    uncertainty: tf.Tensor  # [B], lambda
    target: tf.Tensor  # [B, C], d


class Confusion(tf.keras.metrics.Metric):
    """Counts of (given class, predicted class), [C, C]; the sum of all replicas'."""

    def __init__(self, num_classes: int, name: str = "confusion"):
        """Starts from zeros."""
        super().__init__(name)
        self.counts = self.add_weight("counts", [num_classes, num_classes], initializer="zeros")

    def update_state(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Adds a batch: labels [B], logits [B, C]."""
        size = self.counts.shape[0]
        pairs = tf.math.confusion_matrix(labels, tf.argmax(logits, axis=-1), size)
        self.counts.assign_add(tf.cast(pairs, tf.float32))

    def reset_state(self) -> None:
        """Back to zeros."""
        self.counts.assign(tf.zeros_like(self.counts))

    def result(self) -> tf.Tensor:
        """[C, C]."""
        return tf.convert_to_tensor(self.counts)


class LDLVA(tf.keras.Model):
    """Trains `network`; everything else here serves only that.

    Attributes:
      network: images [B, H, W, 3] -> (features [B, V], logits [B, C]).
      uncertainty, calibrator, centers: see `ldl_fer.layers`.
      bank: see `ldl_fer.bank`; None where neighbors are run through the network.
    """

    def __init__(
        self,
        network: tf.keras.Model,
        method: MethodConfig,
        num_samples: int,
        class_weights: list[float] | None = None,
        bank: NeighborBank | None = None,
        micro_batch_size: int = 0,
        jit: bool = False,
        sync_batch_norm: bool = False,
        merge_repeated: bool = False,
    ):
        """Makes the model.

        Args:
          network: what is trained and, alone, exported.
          method: switches and constants.
          num_samples: N, the size of the training set.
          class_weights: [C], factors of the classification loss; None: all 1.
          bank: the bank that `method.neighbors` asks for, if it is to lie elsewhere than where
            this model makes its variables.
          micro_batch_size: images that a replica passes through the network at a time; 0: all.
          jit: whether the network is compiled by XLA in training.
          sync_batch_norm: whether the calibrator's batch normalization, if it has one, takes the
            statistics of all replicas together; the network's own layers say so themselves.
          merge_repeated: whether a neighbor that occurs several times in a batch may pass the
            network once: its pictures are the same, that is, not augmented. Done only where the
            network treats every image by itself, without batch normalization or dropout.
        """
        super().__init__(name="ldlva")
        size, classes = (output.shape[-1] for output in network.outputs)
        self.network = network
        self.run_network = tf.function(network, jit_compile=True) if jit else network
        self.micro_batch_size = micro_batch_size
        self.merge_repeated = merge_repeated and not _mixes_images(network)
        self.method = method
        self.uncertainty = SampleUncertainty(
            num_samples, method.uncertainty_form, method.uncertainty_init, name="uncertainty"
        )
        self.calibrator = SimilarityCalibrator(
            method.calibration_normalization, sync_batch_norm, name="calibrator"
        )
        self.calibrator.build([None, size])
        self.centers = ClassCenters(
            classes,
            size,
            method.center_rate,
            method.separation_kernel,
            method.separation_weight,
            divide_by_rows=method.center_rows == "main_and_neighbors",
            name="centers",
        )
        self.bank = bank
        if bank is None and method.label_distribution and method.neighbors == "bank":
            self.bank = NeighborBank(num_samples, size, classes, name="bank")
        self.class_weights = tf.constant(class_weights or [1.0] * classes, tf.float32)
        self.num_classes = classes
        self.num_samples = num_samples
        self.means = {
            name: tf.keras.metrics.Mean(name)
            for name in ("loss", "classification_loss", "center_loss")
        }
        self.accuracy = tf.keras.metrics.SparseCategoricalAccuracy("accuracy")
        self.confusion = Confusion(classes)
        self.distribute_reduction_method = "first"  # Results are those of all replicas already.

    def compile(self, optimizer, uncertainty_optimizer, **kwargs):
        """As in Keras, with a second optimizer for lambda.

        Args:
          optimizer: for network and calibrator.
          uncertainty_optimizer: for lambda.
          **kwargs: as in Keras.
        """
        super().compile(optimizer, **kwargs)
        self.uncertainty_optimizer = uncertainty_optimizer

    @property
    def metrics(self):
        return [*self.means.values(), self.accuracy, self.confusion]

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        """The variables of the first optimizer: the network's, and the calibrator's if used."""
        variables = list(self.network.trainable_variables)
        if self.method.label_distribution and self.method.adaptive_similarity:
            variables += self.calibrator.trainable_variables
        return variables

    def call(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """images [B, H, W, 3] -> (features [B, V], logits [B, C]): the network, nothing else."""
        return self.network(images, training=training)

    def neighbor_pass(self, neighbor_images: tf.Tensor, training: bool = True) -> Neighbors:
        """Runs the network on the neighbors' images [B, K, H, W, 3], outside of any tape."""
        passed = self.run_network(_flat_images(neighbor_images), training=training)
        return self._as_neighbors(*passed, tf.shape(neighbor_images))

    def _merged_pass(self, neighbor_images: tf.Tensor, sample_ids: tf.Tensor) -> Neighbors:
        """The same for images that depend on the sample_id [B, K] alone: each runs once."""
        distinct, place = tf.unique(tf.reshape(sample_ids, [-1]))
        positions = tf.range(tf.size(place))
        first = tf.math.unsorted_segment_min(positions, place, tf.size(distinct))
        passed = self.run_network(tf.gather(_flat_images(neighbor_images), first), training=True)
        passed = (tf.gather(values, place) for values in passed)
        return self._as_neighbors(*passed, tf.shape(neighbor_images))

    def _as_neighbors(self, features, logits, shape):
        return Neighbors(
            tf.reshape(features, [shape[0], shape[1], features.shape[-1]]),
            tf.reshape(tf.nn.softmax(logits), [shape[0], shape[1], self.num_classes]),
            tf.ones(shape[:2]),
        )

    def construct(
        self, batch: dict[str, tf.Tensor], features: tf.Tensor, neighbors: Neighbors, training: bool
    ) -> Construction:
        """Eq. 3-6: the target distributions of a batch.

        Args:
          batch: `label`, `sample_id` [B] and `local_similarity` [B, K] of `pipeline.batch_spec`.
          features: [B, V], the batch's own.
          neighbors: what the network says of the neighbors.
          training: mode of the calibrator's normalization.
        """
        similarity = batch["local_similarity"] * neighbors.seen
        label = tf.one_hot(batch["label"], self.num_classes)
        if self.method.adaptive_similarity:
            logit = self.calibrator(features, neighbors.features, training=training)
            calibration = equations.calibration_score(logit, self.method.calibration_floor)
        else:
            calibration = tf.ones_like(similarity)
        contribution = equations.contribution_degree(calibration, similarity)
        aggregated = equations.aggregated_distribution(
            contribution, neighbors.probabilities, fallback=label
        )
        uncertainty = self.sample_uncertainty(batch["sample_id"])
        target = equations.target_distribution(label, aggregated, uncertainty)
        return Construction(calibration, contribution, aggregated, uncertainty, target)

    def sample_uncertainty(self, sample_ids: tf.Tensor) -> tf.Tensor:
        """lambda of the samples: trained, fixed, or 0 where labels are taken as given."""
        if not self.method.label_distribution:
            return tf.zeros(tf.shape(sample_ids))
        if not self.method.sample_uncertainty:
            return tf.fill(tf.shape(sample_ids), self.method.fixed_uncertainty)
        return self.uncertainty(sample_ids)

    def all_uncertainties(self) -> tf.Tensor:
        """lambda of every training sample, [N]."""
        return self.sample_uncertainty(tf.range(self.num_samples))

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on a batch of `pipeline.batch_spec`; Eq. 1-11 and all updates."""
        size = self._global_size(batch)
        if self.micro_batch_size:
            gradients, rows = pass_in_parts(
                lambda part: self._pass(part, size), batch, self.micro_batch_size
            )
        else:
            gradients, rows = self._pass(batch, size)
        self.optimizer.apply_gradients(zip(gradients, self.optimized_variables, strict=True))
        if "uncertainty_gradient" in rows:
            shape = tf.constant([self.num_samples])
            gradient = tf.IndexedSlices(rows["uncertainty_gradient"], batch["sample_id"], shape)
            self.uncertainty_optimizer.apply_gradients([(gradient, self.uncertainty.value)])
        if self.method.discriminative_loss:
            center_rows = CenterRows(*(rows[name] for name in CenterRows._fields))
            self.centers.update(*_flat(center_rows))
        if self.bank is not None:
            probabilities = tf.nn.softmax(rows["logits"])
            self.bank.write(batch["sample_id"], rows["features"], probabilities)
        for name, mean in self.means.items():
            mean.update_state(rows[name])
        self.accuracy.update_state(batch["label"], rows["logits"])
        return self._results(*self.means, "accuracy")

    def test_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Plain cross-entropy and accuracy of the network, whatever the training loss is."""
        _, logits = self.network(batch["image"], training=False)
        label = tf.one_hot(batch["label"], self.num_classes)
        loss = equations.classification_loss(label, logits)
        self.means["loss"].update_state(loss)
        self.accuracy.update_state(batch["label"], logits)
        self.confusion.update_state(batch["label"], logits)
        return self._results("loss", "accuracy")

    def _pass(self, batch, size):
        """Forward and back: the network's gradients of loss / size, and values per sample."""
        method, labels = self.method, batch["label"]
        trained = [self.uncertainty.value] if self._trains_uncertainty else []
        neighbors = self._neighbors(batch)
        with tf.GradientTape() as tape:
            features, logits = self.run_network(batch["image"], training=True)
            if neighbors is None:
                target = tf.one_hot(labels, self.num_classes)
            else:
                target = self.construct(batch, features, neighbors, training=True).target
            classification = equations.classification_loss(target, logits, method.log_epsilon)
            classification *= tf.gather(self.class_weights, labels)
            center_rows = self._center_rows(batch, features, neighbors)
            pull = self._center_loss(center_rows)
            total = equations.total_loss(classification, pull, method.gamma)
            loss = self._scaled(tf.reduce_sum(total) / size)
        gradients = tape.gradient(loss, [*self.optimized_variables, *trained])
        gradients = self._unscaled(gradients)
        rows = {
            "features": features,
            "logits": logits,
            "classification_loss": classification,
            "center_loss": pull,
            "loss": total,
        }
        if method.discriminative_loss:
            rows |= center_rows._asdict()
        if trained:
            rows["uncertainty_gradient"] = gradients.pop().values  # a row per gathered sample_id
        return gradients, rows

    @property
    def _trains_uncertainty(self):
        return self.method.label_distribution and self.method.sample_uncertainty

    def _neighbors(self, batch):
        if not self.method.label_distribution:
            return None
        if self.bank is not None:
            return Neighbors(*self.bank(batch["neighbors"]))
        if self.merge_repeated:
            return self._merged_pass(batch["neighbor_image"], batch["neighbors"])
        return self.neighbor_pass(batch["neighbor_image"])

    def _center_rows(self, batch, features, neighbors):
        """What the centers see of each sample: itself, and its neighbors if the method says so."""
        weight = 1.0 - self.sample_uncertainty(batch["sample_id"])
        own = CenterRows(features, batch["label"], weight)
        own = CenterRows(*(value[:, tf.newaxis] for value in own))
        if neighbors is None or self.method.center_rows == "main":
            return own
        seen = neighbors.seen > 0.0
        others = CenterRows(
            neighbors.features,
            tf.where(seen, batch["neighbor_labels"], NO_CLASS),
            tf.where(seen, 1.0 - self.sample_uncertainty(batch["neighbors"]), 0.0),
        )
        return CenterRows(*(tf.concat(both, axis=1) for both in zip(own, others, strict=True)))

    def _center_loss(self, rows):
        """[B]: Eq. 10, averaged over the rows of each sample."""
        size = tf.shape(rows.center_labels)
        if not self.method.discriminative_loss:
            return tf.zeros(size[0])
        features, labels, weight = _flat(rows)
        loss = equations.center_loss(features, self.centers(labels), weight)
        loss = tf.reduce_mean(tf.reshape(loss, size), axis=1)
        if self.method.separation_in_loss:
            loss += self.centers.separation()
        return loss

    def _global_size(self, batch):
        """Samples of all replicas together: the loss is reduced by it, and nowhere else."""
        size = tf.cast(tf.shape(batch["label"])[0], tf.float32)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, size)

    def _scaled(self, loss):
        if isinstance(self.optimizer, LossScaleOptimizer):
            return self.optimizer.get_scaled_loss(loss)
        return loss

    def _unscaled(self, gradients):
        if isinstance(self.optimizer, LossScaleOptimizer):
            return self.optimizer.get_unscaled_gradients(gradients)
        return gradients

    def _results(self, *names):
        """Means since the last reset over all replicas; Keras' own are one machine's alone."""
        metrics = [metric for metric in self.metrics if metric.name in names]
        sums = tf.stack([tf.stack([metric.total, metric.count]) for metric in metrics])
        sums = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, sums)
        means = tf.unstack(tf.math.divide_no_nan(sums[:, 0], sums[:, 1]))
        return {metric.name: mean for metric, mean in zip(metrics, means, strict=True)}


def _flat_images(images):
    """[B, K, H, W, 3] -> [B K, H, W, 3]."""
    flat = tf.reshape(images, tf.concat([[-1], tf.shape(images)[2:]], 0))
    return tf.ensure_shape(flat, [None, *images.shape[2:]])


def _flat(rows):
    """[B, R, V], [B, R], [B, R] -> [B R, V], [B R], [B R]."""
    features, labels, weight = rows
    return tf.reshape(features, [-1, features.shape[-1]]), *(
        tf.reshape(values, [-1]) for values in (labels, weight)
    )


def _mixes_images(network):
    """Whether a layer does in training what it does not do else, as batch normalization does."""
    plain = (layer for layer in network.submodules if not isinstance(layer, tf.keras.Model))
    layers = (layer for layer in plain if isinstance(layer, tf.keras.layers.Layer))
    return any("training" in inspect.signature(layer.call).parameters for layer in layers)
