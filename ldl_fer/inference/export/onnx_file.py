"""Writes ONNX, for ONNX Runtime and all that reads it; needs onnx, tf2onnx and onnxruntime."""

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError, extra_package
from ldl_fer.evaluation.trained_model import ONNX as FILE
from ldl_fer.inference.export.formats import (
    Format,
    Tolerance,
    Trained,
    content,
    fixed_size,
    in_batches,
)
from ldl_fer.networks.saved_model import TOLERANCE

OPSET = 17
_ASKER = "--format=onnx"  # named where a package is missing


def _write(trained: Trained, folder: Path) -> None:
    tf2onnx, onnx, _ = (extra_package(name, _ASKER) for name in ("tf2onnx", "onnx", "onnxruntime"))
    module = fixed_size(trained, tf.uint8)
    signature = module.of_images.input_signature
    with _quiet():
        try:
            model, _ = tf2onnx.convert.from_function(module.of_images, signature, opset=OPSET)
        except Exception as error:  # of many kinds, whatever operation it does not know
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"this network cannot be made ONNX ({reason}). Export it as --format=saved_model."
            ) from error
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    metadata = {name: _text(value) for name, value in content(trained).items()}
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(folder / FILE))


def _answers(folder: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    onnxruntime = extra_package("onnxruntime", _ASKER)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder / FILE), options, providers=["CPUExecutionProvider"]
    )
    found = [session.run(["probabilities"], {"images": part})[0] for part in in_batches(images)]
    return {FILE: np.concatenate(found)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the notices of conversion; errors are raised, not logged."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


ONNX = Format(
    name="onnx",
    title="ONNX model",
    mark=FILE,
    beside="",
    write=_write,
    answers=_answers,
    tolerance=Tolerance(largest=TOLERANCE),
    interface=(
        "Input `images`, uint8 [batch, {size}, {size}, 3], RGB as the pixels are (channels last). "
        f"Output `probabilities`, float32 [batch, C]. Opset {OPSET}; class names and all of "
        "info.json are in the file's metadata."
    ),
    example="""\
import json
import numpy as np
import onnxruntime

model = onnxruntime.InferenceSession("{folder}/model.onnx")
images = np.zeros([1, {size}, {size}, 3], np.uint8)  # faces, RGB
names = json.loads(model.get_modelmeta().custom_metadata_map["class_names"])
print(dict(zip(names, model.run(["probabilities"], {{"images": images}})[0][0])))""",
)
