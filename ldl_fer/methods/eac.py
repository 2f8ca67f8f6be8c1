"""EAC, erasing attention consistency (Zhang et al., ECCV 2022): look at the same in the mirror.

A network that memorizes a wrong label looks at parts of the face that have nothing to do with the
expression, and elsewhere in the mirrored face. Pictures are erased at random, and attention to each
class must be the mirror image of itself:

  M_c(h, w) = sum_k W_kc F_k(h, w)                    attention, F the last map, W of the classifier
  L_c       = 1/(C H W) sum_c ||M_c(x) - flip M_c(flip x)||^2
  L         = CE(l, f(x)) + 5 L_c

No gradient flows into W by way of the maps. Each view has batch statistics of its own pass, and is
erased by itself, as the authors do where labels are noisy; with --noerase_apart both have the same
patch, as they do on clean labels. --method=eac sets random erasing as in the paper.

--eac_plain_share leaves L_c out of the first epochs; the authors have it from the first step. A
network that knows no expressions yet, and whose normalization is folded into its weights, is drawn
to maps that are alike for all faces, where L_c is 0.

Departures, all of a frozen backbone's head: its features, which are no average of a map, are a map
of one place; erasing blots out what was pooled from half of the face, to the training faces' mean;
and dropout, which the authors' network has not, drops the same of both views, since consistency is
to be of the face and not of chance.
"""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch
from ldl_fer.methods.views import TwoViews


def attention_maps(
    maps: tf.Tensor, kernel: tf.Tensor, stop_kernel_gradient: bool = True
) -> tf.Tensor:
    """Class activation maps (Zhou et al., 2016), without bias.

      M_c(h, w) = sum_k W_kc F_k(h, w)

    Args:
      maps: [B, H, W, V], F.
      kernel: [V, C], of the layer that turns the maps' average into logits.
      stop_kernel_gradient: whether no gradient reaches the kernel by way of the maps.

    Returns:
      [B, H, W, C]; their average over the places are the logits, less the bias.
    """
    tf.debugging.assert_shapes([(maps, ("B", "H", "W", "V")), (kernel, ("V", "C"))])
    if stop_kernel_gradient:
        kernel = tf.stop_gradient(kernel)
    return tf.einsum("bhwv,vc->bhwc", maps, kernel)


def flip_consistency(maps: tf.Tensor, mirrored_maps: tf.Tensor) -> tf.Tensor:
    """Mean squared distance of attention and the mirrored attention to the mirrored picture.

      L_c = 1/(C H W) sum_chw (M_c(h, w) - M'_c(h, W - 1 - w))^2

    Args:
      maps: [B, H, W, C], of the pictures.
      mirrored_maps: [B, H, W, C], of the same pictures mirrored.

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes(
        [(maps, ("B", "H", "W", "C")), (mirrored_maps, ("B", "H", "W", "C"))]
    )
    flipped = tf.reverse(mirrored_maps, axis=[2])
    return tf.reduce_mean(tf.math.squared_difference(maps, flipped), axis=[1, 2, 3])


class EACRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    consistency_loss: tf.Tensor  # [B]


class EAC(TwoViews):
    """Minimizes CE(l, f(x)) + 5 L_c.

    Attributes:
      plain_steps: steps before L_c counts.
    """

    LOSSES = ("loss", "classification_loss", "consistency_loss")

    def add_parts(self) -> None:
        super().add_parts()
        self.kernel = self.trained.get_layer("logits").kernel
        self.plain_steps = self.steps_of(self.config.eac.eac_plain_share)

    def losses(self, batch: Batch, neighbors: None) -> EACRows:
        (maps, features, logits), (others, _, _) = self.pass_views(batch)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        first, second = (
            attention_maps(tf.cast(view, tf.float32), self.kernel) for view in (maps, others)
        )
        consistency = flip_consistency(first, second)
        begun = self.optimizer.iterations >= self.plain_steps
        weight = tf.where(begun, self.config.eac.eac_weight, 0.0)
        loss = classification + weight * consistency
        return EACRows(features, logits, loss, classification, consistency)
