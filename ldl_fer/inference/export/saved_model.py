"""Writes a SavedModel of the network alone; neither this package nor Keras is needed to load it.

  loaded = tf.saved_model.load("checkpoints/x/saved_model")
  probabilities = loaded.signatures["serving_bytes"](image_bytes=...)["probabilities"]
  names = loaded.class_names()

Signatures as in `networks.saved_model`, all answering {"probabilities": [batch, C] float32}.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.files import plain_path
from ldl_fer.inference.export.formats import Format, Tolerance, Trained, in_batches, write_export
from ldl_fer.networks.saved_model import EXTRA, TOLERANCE, probabilities, save_serving


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
      info: further entries of info.json, such as the run and its validation accuracy.

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
    def answer(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": probabilities(trained.network, images)}

    facts = {"class_names": list(trained.class_names), "image_size": trained.image_size}
    save_serving(trained.network, folder, trained.image_size, answer, facts)


def _answers(folder: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    signatures = tf.saved_model.load(str(plain_path(folder))).signatures
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
    beside=EXTRA,
    write=_write,
    answers=_answers,
    tolerance=Tolerance(largest=TOLERANCE),
    interface=(
        "Signature `serving_images`, the default: `images`, uint8 [batch, H, W, 3], RGB, of any "
        "size. Signature `serving_bytes`: `image_bytes` [batch], encoded JPEG or PNG files; the "
        "EXIF rotation of a JPEG is applied, that of a PNG is not. Both resize to {size} x {size} "
        "pixels (bilinear, antialiased) and answer `probabilities`, float32 [batch, C]."
    ),
    example="""\
import tensorflow as tf

model = tf.saved_model.load("{folder}")
encoded = tf.constant([open("face.jpg", "rb").read()])
answer = model.signatures["serving_bytes"](image_bytes=encoded)["probabilities"]
print(dict(zip(model.class_names().numpy(), answer[0].numpy())))""",
)
