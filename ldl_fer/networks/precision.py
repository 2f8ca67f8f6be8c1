"""The same backbone for half precision, or with batch statistics shared by all devices."""

import tensorflow as tf

from ldl_fer.errors import InputError


def with_precision(model: tf.keras.Model, precision: str, sync_batch_norm: bool) -> tf.keras.Model:
    """Copies a backbone, with the same weights.

    Args:
      model: functional or Sequential.
      precision: name of a Keras policy: "float32", "mixed_float16" or "mixed_bfloat16". Weights are
        float32 in all of them.
      sync_batch_norm: whether batch normalization takes the statistics of all replicas together.
        (Keras then takes the plain variance for the moving one, where it otherwise takes the
        unbiased estimate.)

    Returns:
      The copy, or the model itself where nothing is to be changed.

    Raises:
      InputError: a layer cannot be copied.
    """
    if precision == "float32" and not sync_batch_norm:
        return model

    def copy(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
        if isinstance(layer, tf.keras.Model):
            return with_precision(layer, precision, sync_batch_norm)
        config = layer.get_config()
        if not isinstance(layer, tf.keras.layers.InputLayer):
            config["dtype"] = precision
        if isinstance(layer, tf.keras.layers.BatchNormalization) and sync_batch_norm:
            config["synchronized"] = True
        return type(layer).from_config(config)

    try:
        made = tf.keras.models.clone_model(model, clone_function=copy)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"the backbone cannot be copied for --precision={precision} or --sync_batch_norm: "
            f"{error}. Train it with --precision=float32 --nosync_batch_norm."
        ) from error
    made.set_weights(model.get_weights())
    return made
