"""What goes into a model of valence and arousal, and what of its outputs is taken."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ldl_fer.affect.model_files import LoadedModel
from ldl_fer.affect.model_spec import LAYOUTS, ModelSpec
from ldl_fer.errors import InputError
from ldl_fer.pixels import resized


def squares(images: np.ndarray, size: int) -> np.ndarray:
    """Images [B, H, W, 3] -> [B, size, size, 3], each as `pixels.resized` makes it."""
    if images.shape[1:3] == (size, size):
        return images
    return np.stack([resized(image, size) for image in images])


def layout_of(network: LoadedModel, spec: ModelSpec, path: Path) -> str:
    """Order of the input's axes, of LAYOUTS.

    Raises:
      InputError: it takes no images, the spec says another order, or neither tells.
    """
    if network.shape and len(network.shape) != 4:
        raise InputError(f"{path} takes an input of shape {network.shape}, not images.")
    found = [
        layout for layout in LAYOUTS if network.shape and network.shape[layout.index("C")] == 3
    ]
    if spec.layout:
        if network.shape and network.shape[spec.layout.index("C")] not in (3, None):
            raise InputError(f"{path} takes {network.shape}, which is not {spec.layout}.")
        return spec.layout
    if len(found) != 1:
        raise InputError(f"{path} takes {network.shape}: say --layout=NCHW or --layout=NHWC.")
    return found[0]


def image_size_of(network: LoadedModel, spec: ModelSpec, layout: str, path: Path) -> int:
    """H = W, pixels.

    Raises:
      InputError: it takes images that are not square, or of another size than the spec says; or
        neither tells.
    """
    sides = {network.shape[layout.index(axis)] for axis in "HW"} if network.shape else {None}
    fixed = sides - {None}
    if len(fixed) > 1:
        raise InputError(f"{path} takes images that are not square: {network.shape}.")
    size = fixed.pop() if fixed else spec.image_size
    if not size:
        raise InputError(f"{path} takes images of any size: say the one it knows, --image_size.")
    if spec.image_size not in (None, size):
        raise InputError(f"{path} takes images of {size} pixels, not {spec.image_size}.")
    return size


def valence_arousal_of(
    found: Mapping[str, np.ndarray], spec: ModelSpec, path: Path, count: int
) -> np.ndarray:
    """Valence and arousal [B, 2] out of the outputs.

    Raises:
      InputError: the outputs are not as the spec says, or it does not say which they are.
    """
    shapes = ", ".join(f"{name} {value.shape}" for name, value in found.items())
    names = spec.outputs or (tuple(found) if len(found) == 1 else ("valence", "arousal"))
    missing = [name for name in names if name not in found]
    if missing:
        wanted = "outputs" if spec.outputs else "outputs called valence and arousal; say --outputs"
        raise InputError(f"{path} has no {wanted} {', '.join(missing)}: there are {shapes}.")
    # Of a single image every number is its own, whatever the axes.
    if count > 1 and any(np.shape(found[name])[:1] != (count,) for name in names):
        raise InputError(
            f"{path} answers {shapes} of {count} images: the first axis is not that of the images. "
            "Save it with outputs [batch, ...], or for a batch of 1; if --layout was given, is it "
            "right?"
        )
    tables = [np.asarray(found[name]).reshape(count, -1) for name in names]
    usual = (0, 1) if len(names) == 1 else (0, 0)
    widths = [table.shape[1] for table in tables]
    if not spec.columns and widths != ([2] if len(names) == 1 else [1, 1]):
        raise InputError(
            f"{path}: which columns are valence and arousal? There are {shapes}; say --columns, "
            "such as --columns=0,1, or -2,-1 for the last two."
        )
    columns = spec.columns or usual
    picked = []
    for column, table in zip(columns, (tables[0], tables[-1]), strict=True):
        if not -table.shape[1] <= column < table.shape[1]:
            raise InputError(f"{path} has no column {column}: there are {shapes}.")
        picked.append(table[:, column])
    return np.stack(picked, axis=1)
