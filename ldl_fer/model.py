"""LDLVA as a Keras model: it wires the equations to what remembers and learns."""

from typing import Any

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.bank import NeighborBank
from ldl_fer.center_rows import CenterRows
from ldl_fer.classifier import Classifier
from ldl_fer.layers import ClassCenters, SampleUncertainty, SimilarityCalibrator
from ldl_fer.neighbor_pass import NeighborPass, Neighbors, mixes_images
from ldl_fer.settings import MethodConfig
from ldl_fer.target_construction import Construction, construct_targets


class LDLVA(Classifier):
    """Trains `network` by Eq. 1-11; everything else here serves only that.

    Attributes:
      uncertainty, calibrator, centers: see `ldl_fer.layers`.
      bank: see `ldl_fer.bank`; None where neighbors are run through the network.
      neighbor_pass: runs them, see `ldl_fer.neighbor_pass`.
    """

    LOSSES = ("loss", "classification_loss", "discriminative_loss")

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
    ) -> None:
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
        super().__init__(network, num_samples, class_weights, micro_batch_size, jit, "ldlva")
        size, classes = self.feature_size, self.num_classes
        self.merge_repeated = merge_repeated and not mixes_images(self.network)
        self.neighbor_pass = NeighborPass(self.run_network)
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

    def compile(
        self,
        optimizer: tf.keras.optimizers.Optimizer,
        uncertainty_optimizer: tf.keras.optimizers.Optimizer,
        **kwargs: Any,
    ) -> None:
        """As in Keras, with a second optimizer for lambda.

        Args:
          optimizer: for network and calibrator.
          uncertainty_optimizer: for lambda.
          **kwargs: as in Keras.
        """
        super().compile(optimizer, **kwargs)
        self.uncertainty_optimizer = uncertainty_optimizer

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        """The variables of the first optimizer: the network's, and the calibrator's if used."""
        variables = super().optimized_variables
        if self.method.label_distribution and self.method.adaptive_similarity:
            variables += self.calibrator.trainable_variables
        return variables

    @property
    def row_variables(self) -> dict[str, tf.Variable]:
        trained = self.method.label_distribution and self.method.sample_uncertainty
        return {"uncertainty": self.uncertainty.value} if trained else {}

    def parts(self) -> dict[str, Any]:
        parts = super().parts()
        for name in ("calibrator", "uncertainty", "centers", "bank", "uncertainty_optimizer"):
            if getattr(self, name) is not None:
                parts[name] = getattr(self, name)
        return parts

    def histograms(self) -> dict[str, tf.Tensor]:
        return {"uncertainty": self.all_uncertainties()}

    def construct(
        self, batch: dict[str, tf.Tensor], features: tf.Tensor, neighbors: Neighbors, training: bool
    ) -> Construction:
        """Eq. 3-6: the target distributions of a batch.

        Args:
          batch: `label`, `sample_id` [B] and `local_similarity` [B, K] of `batches.batch_spec`.
          features: [B, V], the batch's own.
          neighbors: what the network says of the neighbors.
          training: mode of the calibrator's normalization.
        """
        logit = None
        if self.method.adaptive_similarity:
            logit = self.calibrator(features, neighbors.features, training=training)
        return construct_targets(
            self.labels(batch),
            batch["local_similarity"],
            logit,
            neighbors,
            self.sample_uncertainty(batch["sample_id"]),
            self.method.calibration_floor,
        )

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

    def look_up(self, batch: dict[str, tf.Tensor]) -> Neighbors | None:
        """What the network says of the neighbors, by the bank or by running it."""
        if not self.method.label_distribution:
            return None
        if self.bank is not None:
            return Neighbors(*self.bank(batch["neighbors"]))
        if self.merge_repeated:
            return self.neighbor_pass.merged(batch["neighbor_image"], batch["neighbors"])
        return self.neighbor_pass(batch["neighbor_image"])

    def losses(self, batch: dict[str, tf.Tensor], known: Neighbors | None) -> dict[str, tf.Tensor]:
        """Eq. 1-11, as `Classifier.losses`."""
        features, logits = self.run_network(batch["image"], training=True)
        target = self.labels(batch)
        if known is not None:
            target = self.construct(batch, features, known, training=True).target
        classification = self.cross_entropy(batch, target, logits, self.method.log_epsilon)
        discriminative = tf.zeros_like(classification)
        rows = {"features": features, "logits": logits, "classification_loss": classification}
        if self.method.discriminative_loss:
            others = known if self.method.center_rows == "main_and_neighbors" else None
            center_rows = CenterRows.of_batch(batch, features, others, self.sample_uncertainty)
            discriminative = center_rows.loss(self.centers, self.method.separation_in_loss)
            rows |= center_rows._asdict()
        total = equations.total_loss(classification, discriminative, self.method.gamma)
        return rows | {"discriminative_loss": discriminative, "loss": total}

    def after_step(self, batch: dict[str, tf.Tensor], rows: dict[str, tf.Tensor]) -> None:
        """Moves lambda and centers, and writes the bank."""
        if "uncertainty_gradient" in rows:
            shape = tf.constant([self.num_samples])
            gradient = tf.IndexedSlices(rows["uncertainty_gradient"], batch["sample_id"], shape)
            self.uncertainty_optimizer.apply_gradients([(gradient, self.uncertainty.value)])
        if self.method.discriminative_loss:
            center_rows = CenterRows(*(rows[name] for name in CenterRows._fields))
            self.centers.update(*center_rows.flat())
        if self.bank is not None:
            probabilities = tf.nn.softmax(rows["logits"])
            self.bank.write(batch["sample_id"], rows["features"], probabilities)
