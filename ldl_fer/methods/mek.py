"""MEK, mine extra knowledge (Zhang et al., NeurIPS 2023): rare classes get more of the doubt.

  w_c  = 0.1 N / N_c                                      N_c samples of class c
  l'   = 1 - e on y,  e w_j / sum_{k != y} w_k on others
  L    = CE(l', f) + rho sum_c w_c mean_hw (M_c(x) - flip M_c(flip x))^2

Frequent classes' faces tell of rare ones: the consistency of attention (EAC's maps M) counts more
for rare classes, and labels are smoothed towards them. As in EAC no gradient reaches the classifier
by way of the maps, and pictures are erased at random (EAC's rectangles, in both views alike). The
authors' AdamW, cosine schedule and transformer are not taken over. What a frozen backbone forces
is in `views` and `eac`.
"""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch
from ldl_fer.methods.eac import attention_maps
from ldl_fer.methods.views import TwoViews

_SCALE = 0.1


def rarity(counts: tf.Tensor) -> tf.Tensor:
    """Computes w_c = 0.1 N / N_c, and 0 for a class without samples: [C] -> [C]."""
    return _SCALE * tf.math.divide_no_nan(tf.reduce_sum(counts), counts)


def rebalanced_label(label: tf.Tensor, weights: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Computes l'.

    Args:
      label: [B, C], one-hot.
      weights: [C], w, >= 0.
      smoothing: e, in [0, 1]; 0.3 in the paper.

    Returns:
      [B, C], rows sum to 1; the label itself where all other classes weigh 0.
    """
    tf.debugging.assert_shapes([(label, ("B", "C")), (weights, ("C",))])
    others = (1.0 - label) * weights
    total = tf.reduce_sum(others, axis=1, keepdims=True)
    doubt = tf.math.divide_no_nan(others, total)
    return tf.where(total > 0.0, (1.0 - smoothing) * label + smoothing * doubt, label)


def weighted_consistency(
    maps: tf.Tensor, mirrored_maps: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Computes sum_c w_c mean_hw (M_c(h, w) - M'_c(h, W - 1 - w))^2.

    Args:
      maps: [B, H, W, C], attention to pictures.
      mirrored_maps: [B, H, W, C], to the same pictures mirrored.
      weights: [C], w.

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes(
        [
            (maps, ("B", "H", "W", "C")),
            (mirrored_maps, ("B", "H", "W", "C")),
            (weights, ("C",)),
        ]
    )
    squares = tf.math.squared_difference(maps, tf.reverse(mirrored_maps, axis=[2]))
    return tf.reduce_sum(weights * tf.reduce_mean(squares, axis=[1, 2]), axis=-1)


class MEKRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    consistency_loss: tf.Tensor  # [B]


class MEK(TwoViews):
    """Minimizes the cross-entropy of re-balanced labels and the weighted consistency."""

    LOSSES = ("loss", "classification_loss", "consistency_loss")

    def add_parts(self) -> None:
        super().add_parts()
        self.kernel = self.trained.get_layer("logits").kernel
        self.rarity = rarity(tf.constant(self.class_counts, tf.float32))

    def losses(self, batch: Batch, neighbors: None) -> MEKRows:
        settings = self.config.mek
        (maps, features, logits), (others, _, _) = self.pass_views(batch)
        target = rebalanced_label(self.labels(batch), self.rarity, settings.mek_smoothing)
        classification = self.cross_entropy(batch, target, logits)
        first, second = (
            attention_maps(tf.cast(view, tf.float32), self.kernel) for view in (maps, others)
        )
        consistency = weighted_consistency(first, second, self.rarity)
        loss = classification + settings.mek_weight * consistency
        return MEKRows(features, logits, loss, classification, consistency)
