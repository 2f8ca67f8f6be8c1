"""What it takes to fill our layers from an ONNX file, and to see that both networks are one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError

# Largest difference from the file's answers to random images, as a share of their largest value.
TOLERANCE = 1e-3
Mismatch = Callable[[str], InputError]  # what differs, in words -> the error that says so


def read_constants(graph: Any, path: str | Path) -> Mapping[str, np.ndarray]:
    """Reads a file's constants by name; raises InputError where one is damaged."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                tensors[node.output[0]] = attribute.t
    try:
        return {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged: {error}") from error


def tiles(count: int, image_size: int) -> np.ndarray:
    """Returns images of colored tiles, which survive a network's averaging, unlike noise.

    Args:
      count: B.
      image_size: H = W, a multiple of 14.

    Returns:
      float32 [B, H, W, 3] in [-1, 1], the same each time.
    """
    colors = np.random.default_rng(0).uniform(-1, 1, [count, 14, 14, 3]).astype(np.float32)
    return colors.repeat(image_size // 14, axis=1).repeat(image_size // 14, axis=2)


def answers_of_file(session: Any, fed: np.ndarray, taken: str, mismatch: Mismatch) -> np.ndarray:
    """Runs a file on inputs, one by one, since it may take no more.

    Args:
      session: of `model_files.onnx_session`.
      fed: [B, 1, ...], as the file takes them.
      taken: what they are, for the message.
      mismatch: makes the error.

    Raises:
      InputError: it does not take them.
    """
    try:
        name = session.get_inputs()[0].name
        return np.concatenate([session.run(None, {name: one})[0] for one in fed])
    except Exception as error:  # onnxruntime has a class of its own for each of its codes
        raise mismatch(f"it does not take {taken}: {error}") from error


def check_alike(
    theirs: np.ndarray,
    model: tf.keras.Model,
    images: np.ndarray,
    mismatch: Mismatch,
    reason: str = "",
) -> None:
    """Raises InputError unless a model answers as a file did, within TOLERANCE.

    Args:
      theirs: [B, V], of `answers_of_file`.
      model: of ours, with the file's weights.
      images: [B, H, W, 3], as the model takes them.
      mismatch: makes the error.
      reason: ends the sentence on answers that differ.
    """
    with tf.device("CPU"):  # float32 throughout, as ONNX Runtime's; GPUs may round more
        ours = model(images, training=False).numpy()
    if theirs.shape != ours.shape:
        raise mismatch(
            f"it answers {list(theirs.shape)} to {len(images)} images, not {list(ours.shape)}"
        )
    difference = np.abs(theirs - ours).max() / np.abs(ours).max()
    if not difference <= TOLERANCE:  # a NaN is a difference too
        raise mismatch(
            f"with the same weights, its answers to random images differ by {difference:.2g} of "
            f"their largest value ({TOLERANCE} is allowed){reason}"
        )
