"""The base of all methods: one training step, metrics, and the questions a method answers.

A method is a subclass of `Classifier`: `losses` gives each sample's loss. Where it has any,
`add_parts` makes layers and variables, `look_up` reads what no gradient flows into,
`optimized_variables` and `row_variables` are trained, and `after_step` keeps what later steps need.
The rest of the class answers the modules around it, which never ask for a method by name;
`Demands` does so before there is a model.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.methods.bank import NeighborBank
from ldl_fer.methods.confusion import Confusion
from ldl_fer.methods.demands import Demands
from ldl_fer.methods.gradients import (
    pass_in_parts,
    row_sums,
    scaled,
    step_is_taken,
    unscaled,
)
from ldl_fer.methods.replicas import is_alone, sum_over_replicas
from ldl_fer.methods.targets import Construction
from ldl_fer.networks.head import backbone_variables, read_out, trained_part

Batch = dict[str, tf.Tensor]  # of `batches.batch_spec`


class Rows(NamedTuple):
    """A step's values, a row per sample; methods that need more have a class of their own.

    All have these four, and a field for each name in their `LOSSES`.
    """

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B], to be minimized
    classification_loss: tf.Tensor  # [B]


class Classifier(Demands, tf.keras.Model):
    """Trains a network by per-sample losses; subclasses say which.

    Attributes:
      network: images [B, H, W, 3] -> (features [B, V], logits [B, C]); kept and exported.
      trained: the part of it that is trained: all of it, or a frozen backbone's head.
      config: all settings; a method reads its own group, and what it shares with others.
      steps_per_epoch: for methods that change with the epoch.
    """

    LOSSES: ClassVar[tuple[str, ...]] = ("loss", "classification_loss")  # Means are reported.

    def __init__(
        self,
        network: tf.keras.Model,
        config: Config,
        num_samples: int,
        steps_per_epoch: int,
        class_weights: list[float] | None = None,
        class_counts: Sequence[int] | None = None,
        annotators: Sequence[int] | np.ndarray | None = None,
        label_confusion: np.ndarray | None = None,
        teachers: Sequence[tf.keras.Model] = (),
    ) -> None:
        """Makes the model.

        Args:
          network: of `methods.network_of_method`.
          config: the method's settings, `micro_batch_size`, `jit` and `sync_batch_norm` are read.
          num_samples: N, the size of the training set.
          steps_per_epoch: number of batches that show each sample once.
          class_weights: [C], factors of the classification loss; None: all 1.
          class_counts: [C], samples by given label; None: as many of each.
          annotators: [N], who gave each sample's label, from 0 on; None: one for all.
          label_confusion: [C, C], how often a class (row) is given each label; None: not known.
          teachers: networks of `teacher_runs`, each from what `trained` takes to (features, logits
            [B, C]).
        """
        super().__init__(name=config.method)
        self.network = network
        self.trained = trained_part(network)
        self.config = config
        self.feature_size, self.num_classes = (o.shape[-1] for o in self.trained.outputs)
        self.run_network = self.runner(self.trained)
        self.num_samples = num_samples
        self.steps_per_epoch = steps_per_epoch
        self.class_counts = tuple(class_counts or [1] * self.num_classes)
        given = np.zeros(num_samples) if annotators is None else annotators
        self.annotators = np.asarray(given, np.int32)
        self.label_confusion = label_confusion
        # Within a function, Keras does not count their variables among the model's.
        self.run_teacher = lambda number, images: teachers[number](images, training=False)
        self.class_weights = tf.constant(class_weights or [1.0] * self.num_classes, tf.float32)
        self.means = {loss: tf.keras.metrics.Mean(loss) for loss in self.LOSSES}
        self.accuracy = tf.keras.metrics.SparseCategoricalAccuracy("accuracy")
        self.confusion = Confusion(self.num_classes)
        self.distribute_reduction_method = "first"  # Results are those of all replicas already.
        self.add_parts()

    def runner(self, network: tf.keras.Model) -> Callable[..., Any]:
        """Returns the network as steps call it: compiled where --jit asks for it."""
        return tf.function(network, jit_compile=True) if self.config.run.jit else network

    def add_parts(self) -> None:
        """Makes the method's own layers and variables; none here."""

    def steps_of(self, share: float) -> int:
        """Returns how many steps a share of the epochs has, rounded to whole epochs."""
        return self.steps_per_epoch * round(share * self.config.optimizer.epochs)

    def compile(
        self,
        optimizer: tf.keras.optimizers.Optimizer,
        bank: NeighborBank | None = None,
        **kwargs: Any,
    ) -> None:
        """Adds what only training needs: optimizers with all their variables, and the bank.

        Args:
          optimizer: for `optimized_variables`.
          bank: of `host_bank`.
          **kwargs: as in Keras.
        """
        super().compile(optimizer, **kwargs)
        self.optimizer.build(self.optimized_variables)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [*self.means.values(), self.accuracy, self.confusion]

    @property
    def learner(self) -> tf.keras.Model:
        """The network that the optimizer moves; `trained`, but where that is its running mean."""
        return self.trained

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        """Returns the variables of the optimizer: the network's, and the method's own."""
        return list(self.learner.trainable_variables)

    @property
    def slow_variables(self) -> list[tf.Variable]:
        """Returns those of them that lie in a backbone; they may learn at a lower rate."""
        return list(backbone_variables(self.learner))

    @property
    def row_variables(self) -> list[tf.Variable]:
        """Returns variables [N] whose rows a step trains by sample_id; none here."""
        return []

    def parts(self) -> dict[str, Any]:
        """Returns name -> everything that a training checkpoint must hold."""
        parts = {"network": self.trained, "optimizer": self.optimizer}
        # Keras saves all of a dropout layer but where its random numbers stand.
        parts["dropout"] = [layer._random_generator for layer in _dropouts(self)]
        return parts

    def histograms(self) -> dict[str, tf.Tensor]:
        """Returns name -> values of all training samples, for TensorBoard; none here."""
        return {}

    def kept_with_best(self) -> dict[str, tf.keras.layers.Layer]:
        """Returns name -> layers beside the network that are kept of the best epoch; none here.

        `columns_of_samples` needs them as they were at the network's epoch.
        """
        return {}

    def columns_of_samples(
        self,
        batches: Iterable[Batch],
        features: np.ndarray,
        probabilities: np.ndarray,
        class_names: tuple[str, ...],
    ) -> dict[str, Any]:
        """Returns the columns that the method adds to samples.csv; none here.

        Args:
          batches: every training sample once, by sample_id, with its neighbors, without images.
          features: [N, V], of all training samples.
          probabilities: [N, C], of all training samples.
          class_names: C names.
        """
        return {}

    def constructed(self, batch: Batch) -> Construction:
        """Constructs target distributions of a batch with neighbors' images, in evaluation mode."""
        raise NotImplementedError

    def call(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Runs the network alone: images [B, H, W, 3] -> (features [B, V], logits [B, C])."""
        return self.trained(images, training=training)

    def look_up(self, batch: Batch) -> Any:
        """Reads what `losses` needs of the neighbors and no gradient flows into; nothing here."""
        return None

    def losses(self, batch: Batch, neighbors: Any) -> Any:
        """Runs the network in training mode and computes each sample's loss.

        Args:
          batch: of `batches.batch_spec`.
          neighbors: of `look_up`.

        Returns:
          `Rows`, or the method's own NamedTuple with more fields, a row per sample in each.
        """
        raise NotImplementedError

    def sums_of_step(self, batch: Batch, rows: Any) -> tuple[tf.Tensor, ...]:
        """Returns sums over the batch that `after_step` needs of all replicas; none here.

        Args:
          batch: of the step.
          rows: of `losses`.
        """
        return ()

    def after_step(
        self,
        batch: Batch,
        rows: Any,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Keeps what later steps need, once the optimizer's step is done; nothing here.

        Args:
          batch: of the step.
          rows: of `losses`.
          row_gradients: [B] for each of `row_variables`, of the mean loss.
          applied: scalar, whether the optimizer took the step, which nothing must outlive that it
            left out; None: it takes all.
          sums: of `sums_of_step`, over the samples of all replicas.
        """

    def keep_outputs(
        self,
        sample_ids: tf.Tensor,
        features: tf.Tensor,
        probabilities: tf.Tensor,
        applied: tf.Tensor | None = None,
    ) -> None:
        """Keeps the network's outputs for later steps, of a method that looks them up.

        Args:
          sample_ids: [B]; none occurs twice, on any replica.
          features: [B, V].
          probabilities: [B, C], rows sum to 1.
          applied: as `after_step` takes it.
        """
        raise NotImplementedError

    def outputs_to_keep(self, batch: Batch, rows: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a step's features [B, V] and probabilities [B, C] as they are without dropout.

        Where there is some, a part of the network is run again, after the step: the logits, if
        dropout stands between them and the features, else all, in evaluation mode.

        Args:
          batch: of the step.
          rows: of `losses`.
        """
        features, logits = rows.features, rows.logits
        dropouts = [layer for layer in _dropouts(self.trained) if layer.rate]
        if dropouts:
            names = [layer.name for layer in self.trained.layers]
            behind = self.trained.layers[names.index("features") :]
            if all(any(layer is other for other in behind) for layer in dropouts):
                logits = read_out(self.trained)(features, training=False)
            else:
                features, logits = self.run_network(batch["image"], training=False)
        return features, tf.nn.softmax(logits)

    @tf.autograph.experimental.do_not_convert
    def visit(self, batch: Batch) -> None:
        """Keeps the outputs for a batch's `image`, in evaluation mode, as `keep_outputs`."""
        features, logits = self.run_network(batch["image"], training=False)
        self.keep_outputs(batch["sample_id"], features, tf.nn.softmax(logits))

    def labels(self, batch: Batch) -> tf.Tensor:
        """Returns the given labels one-hot, [B, C]."""
        return tf.one_hot(batch["label"], self.num_classes)

    def cross_entropy(
        self, batch: Batch, target: tf.Tensor, logits: tf.Tensor, epsilon: float = 0.0
    ) -> tf.Tensor:
        """Computes Eq. 1 times the class weights of the given labels: [B, C], [B, C] -> [B]."""
        weights = tf.gather(self.class_weights, batch["label"])
        return weights * equations.classification_loss(target, logits, epsilon)

    @tf.autograph.experimental.do_not_convert  # nothing to convert: it would take seconds
    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Takes one step on a batch of `batches.batch_spec`; replicas add up once."""
        settings = self.config.optimizer
        size = _size_of(batch)
        # A replica learns the samples of all replicas in that sum only: until then, the loss is
        # divided by the nominal batch size, from which an epoch's last batch alone differs.
        divisor = size if is_alone() else tf.constant(settings.batch_size, tf.float32)
        if settings.micro_batch_size:
            gradients, passed = pass_in_parts(
                lambda part: self._pass(part, divisor), batch, settings.micro_batch_size
            )
        else:
            gradients, passed = self._pass(batch, divisor)
        rows, row_gradients = passed
        for name, mean in self.means.items():
            mean.update_state(getattr(rows, name))
        self.accuracy.update_state(batch["label"], rows.logits)
        reported = [*self.means, "accuracy"]
        sums = self.sums_of_step(batch, rows)
        totals = self._totals(reported)
        if not is_alone():
            found = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
            given = [g for g in found if g is not None]
            given, sums, totals, size = sum_over_replicas((given, sums, totals, size))
            rest = iter(given)
            gradients = [None if g is None else next(rest) * (divisor / size) for g in found]
            row_gradients = [g * (divisor / size) for g in row_gradients]
        applied = step_is_taken(self.optimizer, gradients)
        # What is only reported, not differentiated, could else be computed from updated variables.
        with tf.control_dependencies(tf.nest.flatten((passed, sums))):
            self.optimizer.apply_gradients(
                zip(gradients, self.optimized_variables, strict=True),
                skip_gradients_aggregation=True,
            )
        self.after_step(batch, rows, row_gradients, applied, sums)
        if self.looks_up_outputs(self.config):
            self.keep_outputs(batch["sample_id"], *self.outputs_to_keep(batch, rows), applied)
        return _means(reported, totals)

    @tf.autograph.experimental.do_not_convert
    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Computes cross-entropy and accuracy of the network, whatever the training loss is."""
        _, logits = self.trained(batch["image"], training=False)
        loss = equations.classification_loss(self.labels(batch), logits)
        self.means["loss"].update_state(loss)
        self.accuracy.update_state(batch["label"], logits)
        self.confusion.update_state(batch["label"], logits)
        reported = ["loss", "accuracy"]
        return _means(reported, sum_over_replicas(self._totals(reported)))

    def _pass(self, batch, size):
        """Forward and back: the gradients of loss / size, and (rows, gradients of rows)."""
        neighbors = self.look_up(batch)
        variables = [*self.optimized_variables, *self.row_variables]
        with tf.GradientTape() as tape:
            rows = self.losses(batch, neighbors)
            loss = scaled(self.optimizer, tf.reduce_sum(rows.loss) / size)
        gradients = unscaled(self.optimizer, tape.gradient(loss, variables))
        count = len(self.optimized_variables)
        ids = batch["sample_id"]
        return gradients[:count], (rows, [row_sums(sparse, ids) for sparse in gradients[count:]])

    def _totals(self, names):
        """Sums and counts of metrics since the last reset, of this replica alone, [M, 2]."""
        metrics = [metric for metric in self.metrics if metric.name in names]
        return tf.stack([tf.stack([metric.total, metric.count]) for metric in metrics])


def _size_of(batch: Batch) -> tf.Tensor:
    return tf.cast(tf.shape(batch["label"])[0], tf.float32)


def _means(names: Sequence[str], totals: tf.Tensor) -> dict[str, tf.Tensor]:
    """Divides totals of all replicas [M, 2]: Keras' own means are one machine's alone."""
    means = tf.unstack(tf.math.divide_no_nan(totals[:, 0], totals[:, 1]))
    return dict(zip(names, means, strict=True))


def _dropouts(model: tf.Module) -> list[tf.keras.layers.Dropout]:
    return [layer for layer in model.submodules if isinstance(layer, tf.keras.layers.Dropout)]


def per_class(part: str, values: np.ndarray, class_names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Makes columns of samples.csv for a distribution [N, C]: `PART_CLASS` in lower case -> [N]."""
    return {f"{part}_{name.lower()}": values[:, j] for j, name in enumerate(class_names)}
