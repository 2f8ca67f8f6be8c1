"""What every training method shares: a network, one step by its optimizer, metrics.

A method is a subclass that says what each sample's loss is (`losses`) and, where it has any, what
it looks up beforehand (`look_up`), which variables of its own it trains, and what it remembers
after a step (`after_step`). `ldl_fer.model.LDLVA` is one, `ldl_fer.comparators` holds the others.
"""

from typing import Any

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.confusion import Confusion
from ldl_fer.micro_batches import pass_in_parts
from ldl_fer.networks.head import trained_part
from ldl_fer.replicas import is_alone, sum_over_replicas

LossScaleOptimizer = tf.keras.mixed_precision.LossScaleOptimizer


class Classifier(tf.keras.Model):
    """Trains a network by per-sample losses; subclasses say which.

    Attributes:
      whole: images [B, H, W, 3] -> (features [B, V], logits [B, C]); what is kept and exported.
      network: the part of it that is trained: all of it, or a frozen backbone's head.
    """

    LOSSES: tuple[str, ...] = (
        "loss",
        "classification_loss",
    )  # Per-sample values whose means are reported.

    def __init__(
        self,
        network: tf.keras.Model,
        num_samples: int,
        class_weights: list[float] | None = None,
        micro_batch_size: int = 0,
        jit: bool = False,
        name: str | None = None,
    ) -> None:
        """Makes the model.

        Args:
          network: of `build_network`.
          num_samples: N, the size of the training set.
          class_weights: [C], factors of the classification loss; None: all 1.
          micro_batch_size: images that a replica passes through the network at a time; 0: all.
          jit: whether the network is compiled by XLA in training.
          name: as for any Keras model.
        """
        super().__init__(name=name)
        self.whole = network
        self.network = trained_part(network)
        self.feature_size, self.num_classes = (o.shape[-1] for o in self.network.outputs)
        self.run_network = tf.function(self.network, jit_compile=True) if jit else self.network
        self.num_samples = num_samples
        self.micro_batch_size = micro_batch_size
        self.class_weights = tf.constant(class_weights or [1.0] * self.num_classes, tf.float32)
        self.means = {loss: tf.keras.metrics.Mean(loss) for loss in self.LOSSES}
        self.accuracy = tf.keras.metrics.SparseCategoricalAccuracy("accuracy")
        self.confusion = Confusion(self.num_classes)
        self.distribute_reduction_method = "first"  # Results are those of all replicas already.

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [*self.means.values(), self.accuracy, self.confusion]

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        """The variables of the optimizer: the network's, and the method's own."""
        return list(self.network.trainable_variables)

    @property
    def row_variables(self) -> dict[str, tf.Variable]:
        """Name -> variable of which a step touches the rows of its sample_ids; none here.

        Their gradients are given to `after_step` as rows["NAME_gradient"].
        """
        return {}

    def parts(self) -> dict[str, Any]:
        """Name -> everything that a training checkpoint must hold."""
        parts = {"network": self.network, "optimizer": self.optimizer}
        # Keras saves all of a dropout layer but where its random numbers stand.
        dropouts = (
            layer for layer in self.submodules if isinstance(layer, tf.keras.layers.Dropout)
        )
        parts["dropout"] = [layer._random_generator for layer in dropouts]
        return parts

    def histograms(self) -> dict[str, tf.Tensor]:
        """Name -> values of all training samples, for TensorBoard; none here."""
        return {}

    def call(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """images [B, H, W, 3] -> (features [B, V], logits [B, C]): the network, nothing else."""
        return self.network(images, training=training)

    def look_up(self, batch: dict[str, tf.Tensor]) -> Any:
        """What `losses` needs to know and no gradient flows into; nothing here."""
        return None

    def losses(self, batch: dict[str, tf.Tensor], known: Any) -> dict[str, tf.Tensor]:
        """Runs the network in training mode; one row per sample.

        Args:
          batch: of `batches.batch_spec`.
          known: of `look_up`.

        Returns:
          `features` [B, V], `logits` [B, C], `loss` [B] to be minimized, the other values that
          `LOSSES` names, [B], and whatever `after_step` needs.
        """
        raise NotImplementedError

    def after_step(self, batch: dict[str, tf.Tensor], rows: dict[str, tf.Tensor]) -> None:
        """What the method remembers, once the optimizer's step is done; nothing here."""

    def labels(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """One-hot given labels, [B, C]."""
        return tf.one_hot(batch["label"], self.num_classes)

    def cross_entropy(
        self,
        batch: dict[str, tf.Tensor],
        target: tf.Tensor,
        logits: tf.Tensor,
        epsilon: float = 0.0,
    ) -> tf.Tensor:
        """Eq. 1 times the class weights of the given labels: [B, C], [B, C] -> [B]."""
        weights = tf.gather(self.class_weights, batch["label"])
        return weights * equations.classification_loss(target, logits, epsilon)

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on a batch of `batches.batch_spec`."""
        size = self._global_size(batch)
        if self.micro_batch_size:
            gradients, rows = pass_in_parts(
                lambda part: self._pass(part, size), batch, self.micro_batch_size
            )
        else:
            gradients, rows = self._pass(batch, size)
        # What is only reported, not differentiated, could else be computed from updated variables.
        with tf.control_dependencies(tf.nest.flatten(rows)):
            self.optimizer.apply_gradients(
                zip(gradients, self.optimized_variables, strict=True),
                skip_gradients_aggregation=is_alone(),  # see `sum_over_replicas`
            )
        self.after_step(batch, rows)
        for name, mean in self.means.items():
            mean.update_state(rows[name])
        self.accuracy.update_state(batch["label"], rows["logits"])
        return self._results(*self.means, "accuracy")

    def test_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Plain cross-entropy and accuracy of the network, whatever the training loss is."""
        _, logits = self.network(batch["image"], training=False)
        loss = equations.classification_loss(self.labels(batch), logits)
        self.means["loss"].update_state(loss)
        self.accuracy.update_state(batch["label"], logits)
        self.confusion.update_state(batch["label"], logits)
        return self._results("loss", "accuracy")

    def _pass(self, batch, size):
        """Forward and back: the gradients of loss / size, and values per sample."""
        known = self.look_up(batch)
        variables = [*self.optimized_variables, *self.row_variables.values()]
        with tf.GradientTape() as tape:
            rows = self.losses(batch, known)
            loss = self._scaled(tf.reduce_sum(rows["loss"]) / size)
        gradients = self._unscaled(tape.gradient(loss, variables))
        for name in reversed(self.row_variables):
            rows[f"{name}_gradient"] = gradients.pop().values  # a row per gathered sample_id
        return gradients, rows

    def _global_size(self, batch):
        """Samples of all replicas together: the loss is reduced by it, and nowhere else."""
        size = tf.cast(tf.shape(batch["label"])[0], tf.float32)
        return sum_over_replicas(size)

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
        sums = sum_over_replicas(sums)
        means = tf.unstack(tf.math.divide_no_nan(sums[:, 0], sums[:, 1]))
        return {metric.name: mean for metric, mean in zip(metrics, means, strict=True)}
