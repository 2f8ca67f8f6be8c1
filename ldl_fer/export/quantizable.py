"""A network rearranged so that 8 bits serve it better; it computes the same."""

import tensorflow as tf

from ldl_fer.networks.head import trained_part


def quantizable(network: tf.keras.Model) -> tf.keras.Model:
    """Standardizes pooled maps before they are joined, not after.

    All that is joined to one vector shares one 8-bit scale. The pooled maps of a frozen backbone
    range from 0.05 to 13, so that most of them would be left with a few steps; standardized, they
    are alike. Other networks stay as they are.

    Args:
      network: of `build_network`, or any: images -> (features, logits).

    Returns:
      The same function, for evaluation only; layers and weights are shared.
    """
    head = trained_part(network)
    if head is network:
        return network
    backbone = network.get_layer("backbone")
    standardization = head.get_layer("standardization")
    mean, variance = standardization.get_weights()
    scale = (variance + standardization.epsilon) ** -0.5
    parts, start = [], 0
    for part in backbone.get_layer("pooled_maps").input:
        columns = slice(start, start + part.shape[-1])
        parts.append(part * scale[columns] - (mean * scale)[columns])
        start = columns.stop
    standardized = tf.keras.Model(backbone.input, tf.keras.layers.Concatenate()(parts))
    images = tf.keras.Input(network.input_shape[1:])
    hidden = standardized(network.get_layer("pixels")(images), training=False)
    for name in ("hidden", "normalization", "features"):
        hidden = head.get_layer(name)(hidden, training=False)
    return tf.keras.Model(images, (hidden, head.get_layer("logits")(hidden)))
