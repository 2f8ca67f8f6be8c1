"""A SavedModel of the network alone, that needs neither this package nor Keras to be loaded.

  loaded = tf.saved_model.load("checkpoints/x/saved_model")
  probabilities = loaded.signatures["serving_bytes"](image_bytes=...)["probabilities"]
  names = loaded.class_names()

Signatures, all answering {"probabilities": [batch, C] float32}:
  serving_bytes    image_bytes [batch] strings: encoded JPEG or PNG images, each of any size
  serving_images   images [batch, H, W, 3] uint8: RGB, of any size; also called serving_default
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.export.check import Tolerance, in_batches
from ldl_fer.export.export_format import Format, Trained, write_export

TOLERANCE = 1e-5


def export_saved_model(
    network: tf.keras.Model,
    folder: str | Path,
    class_names: Sequence[str],
    image_size: int,
    info: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the SavedModel, loads it and compares it with the network; only then names it.

    Args:
      network: images [B, H, W, 3], 0 to 255 -> (features [B, V], logits [B, C]).
      folder: an earlier SavedModel there is replaced.
      class_names: C names.
      image_size: height and width that the network takes, pixels; images of other sizes are
        resized (bilinear, antialiased).
      info: what else info.json says, such as the run and its validation accuracy.

    Returns:
      The folder.

    Raises:
      InputError: the folder holds something else than a SavedModel.
      ValueError: the number of class names is not the network's number of classes.
      RuntimeError: what was written does not answer as the network does.
    """
    write_export(SAVED_MODEL, Trained(network, class_names, image_size, info or {}), folder)
    return Path(folder)


def _write(trained: Trained, folder: Path) -> None:
    module = _module(trained.network, trained.class_names, trained.image_size)
    of_images = module.of_images.get_concrete_function()
    signatures = {
        "serving_default": of_images,
        "serving_images": of_images,
        "serving_bytes": module.of_bytes.get_concrete_function(),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)


def _module(network: tf.keras.Model, class_names: Sequence[str], image_size: int) -> tf.Module:
    """What is saved: functions, and the variables they use, but no Keras object."""
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
        image = tf.io.decode_image(image_bytes, channels=3, expand_animations=False)
        return resized(image[tf.newaxis])[0]

    def probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
        _, logits = network(images, training=False)
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    module = tf.Module(name="facial_expression")
    module.network_variables = list(network.variables)
    module.of_images = tf.function(
        lambda images: probabilities(resized(images)),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "images")],
    )
    module.of_bytes = tf.function(
        lambda image_bytes: probabilities(
            tf.map_fn(decoded, image_bytes, fn_output_signature=tf.TensorSpec([*side, 3]))
        ),
        input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")],
    )
    module.class_names = tf.function(lambda: tf.constant(list(class_names)), input_signature=[])
    module.image_size = tf.function(lambda: tf.constant(image_size), input_signature=[])
    return module


def _answers(folder: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    signatures = tf.saved_model.load(str(folder)).signatures
    found = {"serving_images": [], "serving_bytes": []}
    for part in in_batches(images):
        encoded = tf.stack([tf.io.encode_png(image) for image in part])
        answers = {
            "serving_images": signatures["serving_images"](images=tf.constant(part)),
            "serving_bytes": signatures["serving_bytes"](image_bytes=encoded),
        }
        for name, answer in answers.items():
            found[name].append(answer["probabilities"].numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


SAVED_MODEL = Format(
    name="saved_model",
    title="SavedModel",
    mark="saved_model.pb",
    beside="assets.extra",
    write=_write,
    answers=_answers,
    tolerance=Tolerance(largest=TOLERANCE),
    interface=(
        "Signature `serving_images`, the default: `images`, uint8 [batch, H, W, 3], RGB, of any "
        "size. Signature `serving_bytes`: `image_bytes` [batch], encoded JPEG or PNG files. Both "
        "resize to {size} x {size} pixels (bilinear, antialiased) and answer `probabilities`, "
        "float32 [batch, C]."
    ),
    example="""\
import tensorflow as tf

model = tf.saved_model.load("{folder}")
encoded = tf.constant([open("face.jpg", "rb").read()])
answer = model.signatures["serving_bytes"](image_bytes=encoded)["probabilities"]
print(dict(zip(model.class_names().numpy(), answer[0].numpy())))""",
)
