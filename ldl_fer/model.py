"""LDLVA as a Keras model: train_step wires the equations to what remembers and learns."""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.bank import NeighborBank
from ldl_fer.config import MethodConfig
from ldl_fer.layers import ClassCenters, SampleUncertainty, SimilarityCalibrator


class Neighbors(NamedTuple):
    """What the network says of each sample's neighbors; no gradient flows into it."""

    features: tf.Tensor  # [B, K, V]
    probabilities: tf.Tensor  # [B, K, C]
    seen: tf.Tensor  # [B, K], 1 or 0; a neighbor not seen yet contributes nothing


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
    ):
        """Makes the model.

        Args:
          network: what is trained and, alone, exported.
          method: switches and constants.
          num_samples: N, the size of the training set.
          class_weights: [C], factors of the classification loss; None: all 1.
        """
        super().__init__(name="ldlva")
        size, classes = (output.shape[-1] for output in network.outputs)
        self.network = network
        self.method = method
        self.uncertainty = SampleUncertainty(
            num_samples, method.uncertainty_form, method.uncertainty_init, name="uncertainty"
        )
        self.calibrator = SimilarityCalibrator(method.calibration_normalization, name="calibrator")
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
        self.bank = None
        if method.label_distribution and method.neighbors == "bank":
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
        shape = tf.shape(neighbor_images)
        flat = tf.reshape(neighbor_images, tf.concat([[-1], shape[2:]], 0))
        flat = tf.ensure_shape(flat, [None, *neighbor_images.shape[2:]])
        features, logits = self.network(flat, training=training)
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
        method, labels = self.method, batch["label"]
        neighbors = self._neighbors(batch)
        with tf.GradientTape() as tape:
            features, logits = self.network(batch["image"], training=True)
            if neighbors is None:
                target = tf.one_hot(labels, self.num_classes)
            else:
                target = self.construct(batch, features, neighbors, training=True).target
            classification = equations.classification_loss(target, logits, method.log_epsilon)
            classification *= tf.gather(self.class_weights, labels)
            rows = self._center_rows(batch, features, neighbors)
            pull = self._center_loss(rows, tf.shape(labels)[0])
            total = equations.total_loss(classification, pull, method.gamma)
            loss = self._global_mean(total)
        self._apply_gradients(tape, loss)
        if method.discriminative_loss:
            self.centers.update(*rows)
        if self.bank is not None:
            self.bank.write(batch["sample_id"], features, tf.nn.softmax(logits))
        self._record(labels, logits, classification, pull, total)
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

    def _neighbors(self, batch):
        if not self.method.label_distribution:
            return None
        if self.bank is not None:
            return Neighbors(*self.bank(batch["neighbors"]))
        return self.neighbor_pass(batch["neighbor_image"])

    def _center_rows(self, batch, features, neighbors):
        """Features, labels and weights that the centers see, each sample followed by neighbors."""
        weight = 1.0 - self.sample_uncertainty(batch["sample_id"])
        if neighbors is None or self.method.center_rows == "main":
            return features, batch["label"], weight
        size = features.shape[-1]
        stacked = tf.concat([features[:, tf.newaxis], neighbors.features], axis=1)
        labels = tf.concat([batch["label"][:, tf.newaxis], batch["neighbor_labels"]], axis=1)
        neighbor_weight = 1.0 - self.sample_uncertainty(batch["neighbors"])
        neighbor_weight *= neighbors.seen
        weights = tf.concat([weight[:, tf.newaxis], neighbor_weight], axis=1)
        return tf.reshape(stacked, [-1, size]), tf.reshape(labels, [-1]), tf.reshape(weights, [-1])

    def _center_loss(self, rows, batch_size):
        """[B]: Eq. 10, averaged over the rows of each sample."""
        if not self.method.discriminative_loss:
            return tf.zeros([batch_size])
        features, labels, weight = rows
        loss = equations.center_loss(features, self.centers(labels), weight)
        loss = tf.reduce_mean(tf.reshape(loss, [batch_size, -1]), axis=1)
        if self.method.separation_in_loss:
            loss += self.centers.separation()
        return loss

    def _global_mean(self, per_sample: tf.Tensor) -> tf.Tensor:
        """The one reduction: this replica's sum over the size of the batch of all replicas."""
        replica = tf.distribute.get_replica_context()
        size = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.shape(per_sample)[0])
        return tf.reduce_sum(per_sample) / tf.cast(size, per_sample.dtype)

    def _apply_gradients(self, tape, loss):
        network_variables = self.optimized_variables
        trains_uncertainty = self.method.label_distribution and self.method.sample_uncertainty
        uncertainty_variables = [self.uncertainty.value] if trains_uncertainty else []
        to_network, to_uncertainty = tape.gradient(loss, [network_variables, uncertainty_variables])
        self.optimizer.apply_gradients(zip(to_network, network_variables, strict=True))
        if trains_uncertainty:
            pairs = zip(to_uncertainty, uncertainty_variables, strict=True)
            self.uncertainty_optimizer.apply_gradients(pairs)

    def _results(self, *names):
        return {m.name: m.result() for m in self.metrics if m.name in names}

    def _record(self, labels, logits, classification, pull, total):
        self.means["loss"].update_state(total)
        self.means["classification_loss"].update_state(classification)
        self.means["center_loss"].update_state(pull)
        self.accuracy.update_state(labels, logits)
