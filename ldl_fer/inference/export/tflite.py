"""Writes TensorFlow Lite, for phones and small boards, in float32 or 8-bit integers.

Both take uint8 RGB images and answer float32 probabilities. The 8-bit one, of weights and
activations, is calibrated on real pictures, the representative set, and its input is scaled by
exactly 1, so that pixels go in as they are; its probabilities are multiples of 1/256.
"""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from ldl_fer.config.progress import tqdm
from ldl_fer.errors import InputError
from ldl_fer.files import plain_path
from ldl_fer.inference.export.formats import Format, Tolerance, Trained, fixed_size, in_batches
from ldl_fer.networks.head import read_out, trained_part
from ldl_fer.networks.saved_model import TOLERANCE

FILE = "model.tflite"


def _write_float(trained: Trained, folder: Path) -> None:
    _convert(trained, folder, tf.uint8, lambda converter: None)


def _write_int8(trained: Trained, folder: Path) -> None:
    pictures = trained.pictures
    assert pictures is not None  # see `Format.check_pictures`

    def quantize(converter: tf.lite.TFLiteConverter) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: representative(pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8

    rearranged = dataclasses.replace(trained, network=quantizable(trained.network))
    _convert(rearranged, folder, tf.float32, quantize)


def quantizable(network: tf.keras.Model) -> tf.keras.Model:
    """Rearranges a network for 8 bits: standardizes pooled maps before they are joined, not after.

    All that is joined to one vector shares one 8-bit scale. The pooled maps of a frozen backbone
    range from 0.05 to 13, so that most of them would be left with a few steps; standardized, they
    are alike. Other networks stay as they are.

    Args:
      network: of `networks.network.build_network`, or any: images -> (features, logits).

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
    return tf.keras.Model(images, (hidden, read_out(head)(hidden, training=False)))


def representative(pictures: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Yields pictures [M, S, S, 3] uint8 as the converter takes them, one at a time.

    The first has a black and a white corner, so that the input's range is 0 to 255 in any set:
    then a step of the quantized input is one step of a pixel.
    """
    # The converter has standard error for itself, see `_quiet`.
    bar = tqdm(pictures, "calibration", unit="picture", delay=2, leave=False, file=sys.stdout)
    for number, picture in enumerate(bar):
        picture = picture.astype(np.float32)
        if number == 0:
            picture[0, 0], picture[0, -1] = 0.0, 255.0
        yield {"images": picture[np.newaxis]}


def _convert(
    trained: Trained,
    folder: Path,
    dtype: tf.DType,
    settle: Callable[[tf.lite.TFLiteConverter], None],
) -> None:
    module = fixed_size(trained, dtype)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        temporary = str(plain_path(temporary))
        signatures = {"serving_default": module.of_images.get_concrete_function()}
        tf.saved_model.save(module, temporary, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(temporary)
        settle(converter)
        try:
            with _quiet():
                converted = converter.convert()
        except Exception as error:  # the converter's own class, or ValueError, or RuntimeError
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"this network cannot be made TensorFlow Lite ({reason}). Export it as "
                "--format=saved_model or onnx."
            ) from error
    (folder / FILE).write_bytes(converted)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the converter, which writes to the file of standard error itself."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _answers(folder: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    interpreter = tf.lite.Interpreter(str(folder / FILE))
    return {FILE: np.concatenate([_ask(interpreter, part) for part in in_batches(images)])}


def _ask(interpreter: tf.lite.Interpreter, images: np.ndarray) -> np.ndarray:
    place = interpreter.get_input_details()[0]
    if tuple(place["shape"]) != images.shape:
        interpreter.resize_tensor_input(place["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


_INTERFACE = (
    "Input `images`, uint8 [batch, {size}, {size}, 3], RGB as the pixels are; batch is 1 until "
    "`resize_tensor_input` says otherwise. Output `probabilities`, float32 [batch, C]"
)
_EXAMPLE = """\
import numpy as np
import tensorflow as tf  # or tflite_runtime

model = tf.lite.Interpreter("{folder}/model.tflite").get_signature_runner()
images = np.zeros([1, {size}, {size}, 3], np.uint8)  # faces, RGB
names = open("{folder}/labels.txt", encoding="utf-8").read().splitlines()
print(dict(zip(names, model(images=images)["probabilities"][0])))"""

TFLITE = Format(
    name="tflite",
    title="TensorFlow Lite model",
    mark=FILE,
    beside="",
    write=_write_float,
    answers=_answers,
    tolerance=Tolerance(largest=TOLERANCE),
    interface=f"{_INTERFACE}. Weights and arithmetic are float32.",
    example=_EXAMPLE,
)
TFLITE_INT8 = Format(
    name="tflite_int8",
    title="TensorFlow Lite model",
    mark=FILE,
    beside="",
    write=_write_int8,
    answers=_answers,
    tolerance=Tolerance(
        mean=0.05,
        agreement=0.8,
        good_mean=0.02,
        good_agreement=0.95,
        pictures=10,
        good_pictures=50,
    ),
    interface=(
        f"{_INTERFACE}, multiples of 1/256. Weights and arithmetic are 8-bit integers, calibrated "
        "on the representative pictures."
    ),
    example=_EXAMPLE,
)
