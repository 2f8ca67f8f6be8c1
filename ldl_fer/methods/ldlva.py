"""LDLVA (Le et al., WACV 2023): learns each face's label distribution from its neighbors.

  L_cls = CE(d, f(x^i)),  d of `ldl_fer.methods.targets`                       Eq. 1-6
  lambda <- lambda - rate (CE(d~, f) - CE(l, f)) / B,  by `UncertaintySGD`     Eq. 7-9
  L_D   = 1/2 (1 - lambda^i) ||v^i - mu_{y^i}||^2
          + sum_{j != k} exp(-||mu_j - mu_k||^2 / sqrt(V))                     Eq. 10
  L     = L_cls + gamma L_D                                                    Eq. 11

Here they are wired; the mathematics is in `ldl_fer.equations`. Deviations from the paper: with
`neighbors=bank`, as in our presets, a neighbor's features and prediction are those of its last
visit, where the paper runs the network on its image. The paper leaves open how lambda and the
centers move: lambda has an SGD of its own, the centers follow Wen et al. (2016). Ours, and off by
default, is `uncertainty_frequencies`: lambda's step leaves out a part rho of what class frequencies
p alone would give it,

  lambda <- lambda - rate (CE(d~, f) - CE(l, f) - rho (CE(d~, p) - CE(l, p))) / B

since a network that knows nothing but p already prefers the neighborhood to a rare class's label.
Where the authors' released code computes something else, a setting chooses it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ldl_fer import equations
from ldl_fer.config import Config
from ldl_fer.methods.bank import NeighborBank
from ldl_fer.methods.center_rows import CenterRows
from ldl_fer.methods.classifier import Batch, Classifier, per_class
from ldl_fer.methods.layers import ClassCenters, SampleUncertainty, SimilarityCalibrator
from ldl_fer.methods.optimizers import UncertaintySGD
from ldl_fer.methods.targets import Construction, Neighbors, construct_targets, pass_neighbors


class LDLVARows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    discriminative_loss: tf.Tensor  # [B]
    center_rows: CenterRows | tuple[()]  # Empty without the discriminative loss.


def shown_frequencies(counts: Sequence[int], sampling: str) -> tf.Tensor:
    """Returns how often training shows each class: N_c / N, by --sampling made alike.

    Args:
      counts: [C], N_c.
      sampling: as the setting; progressive: the mean over the epochs, half of each.

    Returns:
      [C], sum to 1; a class without a sample counts as if it had one.
    """
    natural = tf.maximum(tf.constant(counts, tf.float32), 1.0)
    natural /= tf.reduce_sum(natural)
    alike = 1.0 / len(counts)
    alike_part = {"natural": 0.0, "balanced": 1.0, "progressive": 0.5}[sampling]
    return (1.0 - alike_part) * natural + alike_part * alike


class LDLVA(Classifier):
    """Trains the network by Eq. 1-11; everything else here serves only that.

    Attributes:
      settings: `config.ldlva`.
      uncertainty, calibrator, centers: see `ldl_fer.methods.layers`.
      uncertainty_optimizer: lambda's own.
      bank: see `ldl_fer.methods.bank`; None where neighbors are run through the network.
    """

    LOSSES = ("loss", "classification_loss", "discriminative_loss")

    @classmethod
    def constructs_targets(cls, config: Config) -> bool:
        return config.ldlva.label_distribution

    @classmethod
    def reads_neighbors(cls, config: Config) -> bool:
        return cls.constructs_targets(config)

    @classmethod
    def runs_neighbors(cls, config: Config) -> bool:
        return cls.reads_neighbors(config) and config.ldlva.neighbors == "forward"

    @classmethod
    def looks_up_outputs(cls, config: Config) -> bool:
        return cls.reads_neighbors(config) and not cls.runs_neighbors(config)

    @classmethod
    def host_bank(
        cls, config: Config, num_samples: int, size: int, fits: Callable[[int, float], bool]
    ) -> NeighborBank | None:
        sizes = num_samples, size, len(config.data.class_names)
        needed, share = NeighborBank.bytes_needed(*sizes), config.ldlva.bank_device_share
        if not cls.looks_up_outputs(config) or fits(needed, share):
            return None
        return NeighborBank(*sizes, on_host=True, name="bank")

    def add_parts(self) -> None:
        settings = self.settings = self.config.ldlva
        self.log_frequencies = tf.math.log(
            shown_frequencies(self.class_counts, self.config.data.sampling)
        )
        self.uncertainty = SampleUncertainty(
            self.num_samples,
            settings.uncertainty_form,
            settings.uncertainty_init,
            name="uncertainty",
        )
        self.calibrator = SimilarityCalibrator(
            settings.calibration_normalization,
            settings.calibration_units,
            self.config.network.sync_batch_norm,
            name="calibrator",
        )
        self.calibrator.build([None, self.feature_size])
        self.centers = ClassCenters(
            self.num_classes,
            self.feature_size,
            settings.center_rate,
            settings.separation_kernel,
            settings.separation_weight,
            divide_by_rows=settings.center_rows == "main_and_neighbors",
            name="centers",
        )
        self.bank: NeighborBank | None = None  # made by `compile`

    def compile(
        self,
        optimizer: tf.keras.optimizers.Optimizer,
        bank: NeighborBank | None = None,
        **kwargs: Any,
    ) -> None:
        super().compile(optimizer, **kwargs)
        self.uncertainty_optimizer = UncertaintySGD(
            self.uncertainty.value,
            self.settings.uncertainty_learning_rate,
            self.settings.uncertainty_momentum,
            project=self.settings.uncertainty_form == "direct",
        )
        if bank is None and self.looks_up_outputs(self.config):
            bank = NeighborBank(self.num_samples, self.feature_size, self.num_classes, name="bank")
        self.bank = bank

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        """Returns the network's variables, and the calibrator's if it is used."""
        variables = super().optimized_variables
        if self.settings.label_distribution and self.settings.adaptive_similarity:
            variables += self.calibrator.trainable_variables
        return variables

    @property
    def row_variables(self) -> list[tf.Variable]:
        trained = self.settings.label_distribution and self.settings.sample_uncertainty
        return [self.uncertainty.value] if trained else []

    def parts(self) -> dict[str, Any]:
        parts = super().parts()
        for name in ("calibrator", "uncertainty", "centers", "bank", "uncertainty_optimizer"):
            if getattr(self, name) is not None:
                parts[name] = getattr(self, name)
        return parts

    def histograms(self) -> dict[str, tf.Tensor]:
        return {"uncertainty": self.all_uncertainties()}

    def kept_with_best(self) -> dict[str, tf.keras.layers.Layer]:
        return {name: getattr(self, name) for name in ("calibrator", "uncertainty", "centers")}

    def columns_of_samples(
        self,
        batches: Iterable[Batch],
        features: np.ndarray,
        probabilities: np.ndarray,
        class_names: tuple[str, ...],
    ) -> dict[str, Any]:
        """Adds lambda, d~ and d, and what they were made of, by look-up in evaluation mode.

        Returns:
          `uncertainty`; per class `aggregated_*` (d~) and `target_*` (d); and K numbers joined by
          ";" in each of `neighbors` (sample_ids), `calibration` and `contribution`. Nothing without
          `label_distribution`.
        """
        if not self.constructs_targets(self.config):
            return {}
        construct = tf.function(
            lambda batch, own, neighbors: self.construct(batch, own, neighbors, training=False),
            reduce_retracing=True,
        )
        made, kept = [], []
        for batch in batches:
            ids, others = batch["sample_id"].numpy(), batch["neighbors"].numpy()
            neighbors = Neighbors(tf.constant(features[others]), tf.constant(probabilities[others]))
            kept += others.tolist()
            made.append(construct(batch, tf.constant(features[ids]), neighbors))
        whole = Construction(*(np.concatenate(values) for values in zip(*made, strict=True)))
        columns = {"uncertainty": whole.uncertainty}
        columns |= per_class("aggregated", whole.aggregated, class_names)
        columns |= per_class("target", whole.target, class_names)
        columns["neighbors"] = [";".join(map(str, row)) for row in kept]
        for name in ("calibration", "contribution"):
            rows = getattr(whole, name)
            columns[name] = [";".join(f"{value:.5f}" for value in row) for row in rows]
        return columns

    def constructed(self, batch: Batch) -> Construction:
        features, _ = self(batch["image"], training=False)
        neighbors = self.neighbor_pass(batch["neighbor_image"], training=False)
        return self.construct(batch, features, neighbors, training=False)

    def construct(
        self, batch: Batch, features: tf.Tensor, neighbors: Neighbors, training: bool
    ) -> Construction:
        """Computes the target distributions of a batch.  Eq. 2-6.

        Args:
          batch: `label`, `sample_id`, `auxiliary` and `neighbor_auxiliary` of `batches.batch_spec`.
          features: [B, V], the batch's own.
          neighbors: the network's outputs for the neighbors.
          training: mode of the calibrator's normalization.
        """
        settings, logit = self.settings, None
        if settings.adaptive_similarity:
            logit = self.calibrator(features, neighbors.features, training=training)
        return construct_targets(
            self.labels(batch),
            batch["auxiliary"],
            batch["neighbor_auxiliary"],
            logit,
            neighbors,
            self.sample_uncertainty(batch["sample_id"]),
            settings.delta,
            settings.similarity_kernel,
            settings.calibration_floor,
        )

    def sample_uncertainty(self, sample_ids: tf.Tensor) -> tf.Tensor:
        """Returns lambda of the samples: trained, fixed, or 0 where labels are taken as given."""
        if not self.settings.label_distribution:
            return tf.zeros(tf.shape(sample_ids))
        if not self.settings.sample_uncertainty:
            return tf.fill(tf.shape(sample_ids), self.settings.fixed_uncertainty)
        return self.uncertainty(sample_ids)

    def beyond_frequencies(self, batch: Batch, made: Construction) -> tf.Tensor:
        """Takes off lambda's gradient what class frequencies p alone would give it.  Eq. 9.

          -rho (CE(d~, p) - CE(l, p)) (lambda - stop(lambda)),  p of `shown_frequencies`

        Args:
          batch: `label` [B] is read.
          made: of `construct`.

        Returns:
          [B], all 0; only lambda has a gradient. It is times the class weights, as the loss is.
        """
        labels = self.labels(batch)
        logits = tf.broadcast_to(self.log_frequencies, tf.shape(labels))
        gradient = equations.uncertainty_gradient(labels, made.aggregated, logits)
        gradient *= self.settings.uncertainty_frequencies
        gradient *= tf.gather(self.class_weights, batch["label"])
        return -tf.stop_gradient(gradient) * (made.uncertainty - tf.stop_gradient(made.uncertainty))

    def all_uncertainties(self) -> tf.Tensor:
        """Returns lambda of every training sample, [N]."""
        return self.sample_uncertainty(tf.range(self.num_samples))

    def neighbor_pass(self, neighbor_images: tf.Tensor, training: bool = True) -> Neighbors:
        """Runs the network on the neighbors' images, as `targets.pass_neighbors`."""
        return pass_neighbors(self.run_network, neighbor_images, training)

    def look_up(self, batch: Batch) -> Neighbors | None:
        """Reads the network's outputs for the neighbors, by the bank or by running it."""
        if not self.settings.label_distribution:
            return None
        if self.bank is not None:
            return Neighbors(*self.bank(batch["neighbors"]))
        return self.neighbor_pass(batch["neighbor_image"])

    def losses(self, batch: Batch, neighbors: Neighbors | None) -> LDLVARows:
        """Computes Eq. 1-11, as `Classifier.losses`."""
        settings = self.settings
        features, logits = self.run_network(batch["image"], training=True)
        target = self.labels(batch)
        beyond_frequencies: tf.Tensor | float = 0.0
        if neighbors is not None:
            made = self.construct(batch, features, neighbors, training=True)
            target = made.target
            if settings.uncertainty_frequencies:
                beyond_frequencies = self.beyond_frequencies(batch, made)
        classification = self.cross_entropy(batch, target, logits, settings.log_epsilon)
        discriminative, center_rows = tf.zeros_like(classification), ()
        if settings.discriminative_loss:
            others = neighbors if settings.center_rows == "main_and_neighbors" else None
            center_rows = CenterRows.of_batch(batch, features, others, self.sample_uncertainty)
            discriminative = center_rows.loss(self.centers, settings.separation_in_loss)
        total = equations.total_loss(classification, discriminative, settings.gamma)
        loss = total + beyond_frequencies
        return LDLVARows(features, logits, loss, classification, discriminative, center_rows)

    def sums_of_step(self, batch: Batch, rows: LDLVARows) -> tuple[tf.Tensor, ...]:
        return self.centers.sums(*rows.center_rows.flat()) if rows.center_rows else ()

    def after_step(
        self,
        batch: Batch,
        rows: LDLVARows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Moves lambda and centers."""
        for gradient in row_gradients:
            self.uncertainty_optimizer.step(batch["sample_id"], gradient, applied)
        if sums:
            self.centers.update(sums[0], sums[1], applied=applied)

    def keep_outputs(
        self,
        sample_ids: tf.Tensor,
        features: tf.Tensor,
        probabilities: tf.Tensor,
        applied: tf.Tensor | None = None,
    ) -> None:
        assert self.bank is not None  # as `looks_up_outputs` says
        self.bank.write(sample_ids, features, probabilities, applied)
