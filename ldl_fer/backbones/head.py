"""What stands on a backbone: dropout and logits, or the head of a frozen one."""

import tensorflow as tf

from ldl_fer.settings import NetworkConfig


def head(config: NetworkConfig, size: int, num_classes: int, seed: int) -> tf.keras.Model:
    """Pooled maps [B, size] -> (features [B, head_units], logits [B, C]).

    Layers: "standardization" (see `backbones.standardize`), dropout, "hidden", "normalization",
    "features" and "logits".
    """
    pooled = tf.keras.Input([size], name="pooled")
    standard = tf.keras.layers.BatchNormalization(
        center=False, scale=False, trainable=False, name="standardization"
    )(pooled, training=False)
    hidden = tf.keras.layers.Dense(
        config.head_units,
        use_bias=False,
        kernel_initializer=tf.keras.initializers.HeNormal(seed),
        name="hidden",
    )(dropout(standard, config, seed))
    hidden = tf.keras.layers.BatchNormalization(
        momentum=0.9, synchronized=config.sync_batch_norm, name="normalization"
    )(hidden)
    features = tf.keras.layers.ReLU(name="features")(hidden)
    outputs = features, logits(features, num_classes, seed)
    return tf.keras.Model(pooled, outputs, name="head")


def dropout(x: tf.Tensor, config: NetworkConfig, seed: int) -> tf.Tensor:
    """A layer "dropout" where there is to be any."""
    if not config.dropout:
        return x
    # A generator of its own can be saved in training checkpoints: a run goes on as it would.
    return tf.keras.layers.Dropout(
        config.dropout, seed=seed, force_generator=True, dtype="float32", name="dropout"
    )(x)


def logits(features: tf.Tensor, num_classes: int, seed: int) -> tf.Tensor:
    """The layer "logits", float32: [B, V] -> [B, C]."""
    return tf.keras.layers.Dense(
        num_classes,
        kernel_initializer=tf.keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name="logits",
    )(features)
