"""EAC, erasing attention consistency (Zhang et al., ECCV 2022): look at the same in the mirror.

A network that memorizes a wrong label looks at parts of the face that have nothing to do with the
expression, and elsewhere in the mirrored face. Pictures are erased at random, and attention to each
class must be the mirror image of itself:

  M_c(h, w) = sum_k W_kc F_k(h, w)                    attention, F the last map, W of the classifier
  L_c       = 1/(C H W) sum_c ||M_c(x) - flip M_c(flip x)||^2
  L         = CE(l, f(x)) + 5 L_c

No gradient flows into W by way of the maps. Random erasing is set by the flags of augmentation;
--method=eac sets the paper's. A network whose features are not the average of a map (a frozen
backbone's head) has them for its map, of one place.
"""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.views import mirrored_images
from ldl_fer.networks.head import feature_map


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


class EAC(Classifier):
    """Minimizes CE(l, f(x)) + 5 L_c."""

    LOSSES = ("loss", "classification_loss", "consistency_loss")
    looks_inside = True

    def add_parts(self) -> None:
        self.with_map = feature_map(self.network)
        self.kernel = self.trained.get_layer("logits").kernel

    def losses(self, batch: Batch, neighbors: None) -> EACRows:
        images = batch["image"]
        # Both pass together: one set of batch statistics, as for one batch of twice the size.
        maps, features, logits = self._run(tf.concat([images, mirrored_images(batch)], axis=0))
        count = tf.shape(images)[0]
        attention = attention_maps(tf.cast(maps, tf.float32), self.kernel)
        classification = self.cross_entropy(batch, self.labels(batch), logits[:count])
        consistency = flip_consistency(attention[:count], attention[count:])
        loss = classification + self.config.eac.eac_weight * consistency
        return EACRows(features[:count], logits[:count], loss, classification, consistency)

    def _run(self, images):
        """Maps, features and logits of pictures and, in the same order, their mirror images."""
        if self.with_map is not None:
            return self.with_map(images, training=True)
        run = self.run_network if self.trained is self.network else self._run_head
        features, logits = run(images, training=True)
        return features[:, tf.newaxis, tf.newaxis], features, logits

    def _run_head(self, pooled, training):
        """A frozen backbone's head: what is dropped of one view of a face is of the other too."""
        hidden = pooled
        for layer in self.trained.layers[1:]:
            if layer.name == "dropout":
                kept = layer(tf.ones_like(hidden[: tf.shape(hidden)[0] // 2]), training=training)
                hidden *= tf.tile(kept, [2, 1])
            elif layer.name == "standardization":
                hidden = layer(hidden, training=False)
            elif layer.name == "logits":
                return hidden, layer(hidden)
            else:
                hidden = layer(hidden, training=training)
        raise ValueError("the network has no layer 'logits'")
