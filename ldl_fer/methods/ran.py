"""RAN, the region attention network (Wang et al., TIP 2020): a face and five crops of it.

  mu_k = softmax_k sigmoid(w_1 f_k + b_1),   F = sum_k mu_k f_k        self-attention
  nu_k = softmax_k sigmoid(w_2 [f_k, F] + b_2)                         relation attention
  v    = sum_k mu_k nu_k [f_k, F] / sum_k mu_k nu_k,   z = W v + b
  L    = CE(l, softmax(z)) + max(0, m - (max_crops mu - mu_whole))

f_k are the backbone's features of view k, each view a pass of its own. The crops are made within
the network, of the picture that it is given: it needs them at test, too, and a step or an answer
costs about six. The softmax over what is squashed already is the released code's, and so is m, .1;
the paper's is .02 as remembered. The crops are those for FER+: left above, right above and middle
below of three quarters of the side, and the middle of .9 and .8 of it.

A frozen backbone's maps are of the whole picture alone, so RAN does not go with it.
"""

from typing import NamedTuple

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.networks import head

# What is cut off: above, below, left, right, as parts of the side. The whole picture is last.
CROPS = (
    *((0, 0.25, 0, 0.25), (0, 0.25, 0.25, 0), (0.25, 0, 0.125, 0.125)),
    *((0.05, 0.05, 0.05, 0.05), (0.1, 0.1, 0.1, 0.1), (0, 0, 0, 0)),
)


def rank_loss(weights: tf.Tensor, margin: float) -> tf.Tensor:
    """Computes max(0, m - (max_k mu_k - mu_whole)): one crop should count more than the face.

    Args:
      weights: [B, K], mu, the whole face last.
      margin: m, >= 0.

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes([(weights, ("B", "K"))])
    return tf.nn.relu(margin - (tf.reduce_max(weights[:, :-1], axis=1) - weights[:, -1]))


class RANRows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, 2 V], v
    logits: tf.Tensor  # [B, C]
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B]
    rank_loss: tf.Tensor  # [B]


class RAN(Classifier):
    """Minimizes CE and the rank loss.

    Attributes:
      with_weights: images -> (features, logits, mu [B, K, 1]).
    """

    LOSSES = ("loss", "classification_loss", "rank_loss")
    looks_inside = True

    @classmethod
    def complete(cls, network: tf.keras.Model, seed: int) -> tf.keras.Model:
        """Returns a network that passes the views through the backbone and attends to them."""
        layers, backbone = tf.keras.layers, network.get_layer("backbone")
        mode = backbone.inbound_nodes[0].call_kwargs  # training=False where it is pretrained
        images = tf.keras.Input(network.input_shape[1:], name="images")
        views = [network.get_layer("pixels")(view) for view in _views(images)]
        size = backbone.output_shape[-1]
        each = [layers.Reshape([1, size])(backbone(view, **mode)) for view in views]
        each = layers.Concatenate(axis=1, dtype="float32", name="views")(each)
        own = _squashed("self_attention", seed)(each)
        weights = layers.Softmax(axis=1, name="view_weights")(own)
        whole = layers.Flatten()(layers.Dot(axes=1)([weights, each]))
        pairs = layers.Concatenate(axis=-1)([each, layers.RepeatVector(len(CROPS))(whole)])
        related = _squashed("relation_attention", seed)(pairs)
        # mu nu / sum mu nu, both of them softmax.
        both = layers.Softmax(axis=1)(layers.Add()([own, related]))
        features = layers.Flatten()(layers.Dot(axes=1)([both, pairs]))
        features = answered = layers.Activation("linear", dtype="float32", name="features")(
            features
        )
        if "dropout" in (layer.name for layer in network.layers):
            answered = network.get_layer("dropout")(features)
        logits = head.logits(answered, network.outputs[1].shape[-1], seed)
        return tf.keras.Model(images, (features, logits), name=network.name)

    def add_parts(self) -> None:
        weights = self.network.get_layer("view_weights").output
        self.with_weights = tf.keras.Model(self.network.inputs, (*self.network.outputs, weights))

    def losses(self, batch: Batch, neighbors: None) -> RANRows:
        features, logits, weights = self.with_weights(batch["image"], training=True)
        classification = self.cross_entropy(batch, self.labels(batch), logits)
        rank = rank_loss(weights[:, :, 0], self.config.ran.ran_margin)
        return RANRows(features, logits, classification + rank, classification, rank)


def _views(images):
    """The crops of pictures [B, H, H, 3], each of their size, and the pictures."""
    layers, side, found = tf.keras.layers, images.shape[1], []
    for crop in CROPS:
        top, bottom, left, right = (round(part * side) for part in crop)
        view = images
        if any(crop):
            view = layers.Cropping2D(((top, bottom), (left, right)))(images)
            view = layers.Resizing(side, side, dtype="float32")(view)
        found.append(view)
    return found


def _squashed(name, seed):
    """A layer [B, K, V] -> [B, K, 1] in (0, 1)."""
    start = tf.keras.initializers.GlorotUniform(seed)
    return tf.keras.layers.Dense(1, "sigmoid", kernel_initializer=start, dtype="float32", name=name)
