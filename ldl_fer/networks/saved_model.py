"""A network as a SavedModel that needs neither this package nor Keras to be loaded.

Signatures, which all answer the same:
  serving_images   images [batch, H, W, 3] uint8: RGB, of any size; also called serving_default
  serving_bytes    image_bytes [batch] strings: encoded JPEG or PNG images, each of any size; a
                   JPEG's EXIF rotation is applied

TensorFlow, which takes seconds, is imported by the functions: commands read the constants alone.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ldl_fer.files import plain_path

if TYPE_CHECKING:
    import tensorflow as tf

EXTRA = "assets.extra"  # folder within a SavedModel for what its writer says of it
TOLERANCE = 1e-5  # largest difference of an answer from the network's own, float32 on both sides


def probabilities(network: "tf.keras.Model", images: "tf.Tensor") -> "tf.Tensor":
    """Returns the softmax of a network's logits, in float32 whatever its arithmetic.

    Args:
      network: images -> (features [B, V], logits [B, C]).
      images: [B, S, S, 3], 0 to 255.

    Returns:
      [B, C] float32, rows sum to 1.
    """
    import tensorflow as tf

    _, logits = network(images, training=False)
    return tf.nn.softmax(tf.cast(logits, tf.float32))


def save_serving(
    network: "tf.keras.Model",
    folder: str | Path,
    image_size: int,
    answer: Callable[["tf.Tensor"], Mapping[str, "tf.Tensor"]],
    facts: Mapping[str, Any],
) -> None:
    """Writes the SavedModel.

    Args:
      network: whose variables are saved.
      folder: empty, or not there yet.
      image_size: S, pixels; images of other sizes are resized (bilinear, antialiased).
      answer: images [batch, S, S, 3] float32 in [0, 255] -> outputs by name; by the network's
        variables alone.
      facts: constants, each of which a function of that name returns.
    """
    import tensorflow as tf

    def constant(value: Any) -> Callable[[], tf.Tensor]:
        return tf.function(lambda: tf.constant(value), input_signature=[])

    module = _module(network, image_size, answer)
    for name, value in facts.items():
        setattr(module, name, constant(value))
    of_images = module.of_images.get_concrete_function()
    signatures = {
        "serving_default": of_images,
        "serving_images": of_images,
        "serving_bytes": module.of_bytes.get_concrete_function(),
    }
    tf.saved_model.save(module, str(plain_path(folder)), signatures=signatures)


def _module(
    network: "tf.keras.Model",
    image_size: int,
    answer: Callable[["tf.Tensor"], Mapping[str, "tf.Tensor"]],
) -> "tf.Module":
    """Returns what is saved: functions, and the variables they use, but no Keras object."""
    import tensorflow as tf

    from ldl_fer.networks.encoded_pictures import decode_upright

    side = [image_size, image_size]

    def resized(images: tf.Tensor) -> tf.Tensor:
        """[batch, H, W, 3] uint8 -> [batch, side, side, 3] float32 in [0, 255]."""
        fits = tf.reduce_all(tf.shape(images)[1:3] == side)
        images = tf.cast(images, tf.float32)
        images = tf.cond(
            fits, lambda: images, lambda: tf.image.resize(images, side, "bilinear", antialias=True)
        )
        return tf.ensure_shape(images, [None, *side, 3])

    def decoded(image_bytes: tf.Tensor) -> tf.Tensor:
        return resized(decode_upright(image_bytes)[tf.newaxis])[0]

    each = tf.TensorSpec([*side, 3])
    module = tf.Module(name="facial_expression")
    module.network_variables = list(network.variables)
    module.of_images = tf.function(
        lambda images: answer(resized(images)),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "images")],
    )
    module.of_bytes = tf.function(
        lambda image_bytes: answer(tf.map_fn(decoded, image_bytes, fn_output_signature=each)),
        input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")],
    )
    return module
