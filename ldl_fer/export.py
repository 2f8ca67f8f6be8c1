"""A SavedModel of the network alone, that needs neither this package nor Keras to be loaded.

  loaded = tf.saved_model.load("checkpoints/x/saved_model")
  probabilities = loaded.signatures["serving_bytes"](image_bytes=...)["probabilities"]
  names = loaded.class_names()

Signatures, all answering {"probabilities": [batch, C] float32}:
  serving_bytes    image_bytes [batch] strings: encoded JPEG or PNG images, each of any size
  serving_images   images [batch, H, W, 3] uint8: RGB, of any size; also called serving_default
The folder's assets.extra/ holds labels.txt, a class name a line, and info.json.

    python -m ldl_fer.export --run_dir=checkpoints/x
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags

from ldl_fer import command_line
from ldl_fer.errors import InputError

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
    folder = Path(folder)
    classes = network.outputs[1].shape[-1]
    if classes != len(class_names):
        raise ValueError(f"{len(class_names)} class names for a network of {classes} classes")
    replaced = folder.exists()
    if replaced and not _replaceable(folder):
        raise InputError(
            f"{folder} holds something that is not a SavedModel and would be lost. "
            "Give --output_dir another folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        written = Path(temporary) / "new"
        module = _module(network, class_names, image_size)
        tf.saved_model.save(module, str(written), signatures=_signatures(module))
        _write_extra(written, class_names, image_size, info)
        _compare(network, written, image_size)
        if replaced:
            folder.rename(Path(temporary) / "old")
        written.rename(folder)
    return folder


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


def _signatures(module: tf.Module) -> dict:
    of_images = module.of_images.get_concrete_function()
    return {
        "serving_default": of_images,
        "serving_images": of_images,
        "serving_bytes": module.of_bytes.get_concrete_function(),
    }


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / "saved_model.pb").exists() or not any(folder.iterdir()))


def _write_extra(folder: Path, class_names: Sequence[str], image_size: int, info) -> None:
    extra = folder / "assets.extra"
    extra.mkdir(exist_ok=True)
    labels = "".join(f"{name}\n" for name in class_names)
    (extra / "labels.txt").write_text(labels, encoding="utf-8")
    content = dict(info or {}) | {"class_names": list(class_names), "image_size": image_size}
    (extra / "info.json").write_text(json.dumps(content, indent=2, default=str) + "\n")


def _compare(network: tf.keras.Model, folder: Path, image_size: int) -> None:
    """Raises RuntimeError unless both signatures answer as the network, within TOLERANCE."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, [3, image_size, image_size, 3], np.uint8)
    _, logits = network(images, training=False)
    live = tf.nn.softmax(tf.cast(logits, tf.float32)).numpy()
    signatures = tf.saved_model.load(str(folder)).signatures
    encoded = tf.stack([tf.io.encode_png(image) for image in images])
    answers = {
        "serving_images": signatures["serving_images"](images=tf.constant(images)),
        "serving_bytes": signatures["serving_bytes"](image_bytes=encoded),
    }
    for name, answer in answers.items():
        difference = np.abs(answer["probabilities"].numpy() - live).max()
        if not difference < TOLERANCE:  # a NaN is a difference too
            raise RuntimeError(
                f"the exported {name} differs from the network by {difference:.3g}, more than "
                f"{TOLERANCE}; nothing was kept"
            )


def export_run(run_dir: str | Path, output_dir: str | Path | None = None) -> Path:
    """Exports the best network of a run.

    Args:
      run_dir: the run folder.
      output_dir: where to; None: saved_model in the run folder.

    Returns:
      The folder written.

    Raises:
      InputError: there is no such run, or the folder is in the way.
    """
    from ldl_fer.runs import Run, load_network

    run = Run(run_dir)
    network, config = load_network(run_dir)
    print(f"Writing and checking the network of {run.folder} ...", flush=True)
    return export_saved_model(
        network,
        output_dir or run.saved_model,
        config.data.class_names,
        config.data.image_size,
        info={"backbone": config.network.backbone, "best": run.best()},
    )


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", "checkpoints/run", "Folder of the run that train.py wrote.")
    flags.DEFINE_string("output_dir", None, "Where to write. (default: RUN_DIR/saved_model)")


def main() -> None:
    folder = export_run(flags.FLAGS.run_dir, flags.FLAGS.output_dir)
    print(
        f"{folder}: equal to the network within {TOLERANCE}; signatures serving_bytes (encoded "
        "images) and serving_images (uint8 RGB)"
    )


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
