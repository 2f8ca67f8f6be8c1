"""MobileFaceNet's maps pooled to one vector, on which the head of a frozen backbone is trained.

Expression lies in where the maps respond, which the embedding of face recognition has learned to
forget: each map gives the mean of its upper half, the mean of its lower half, and its maximum.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError

layers = tf.keras.layers

# In the order of the features: the maps with their channels, and in each map the parts.
MAPS: Mapping[str, int] = MappingProxyType(
    {"map_stride8": 128, "map_stride16": 128, "map_stride16_wide": 512}
)
PARTS = ("upper", "lower", "maximum")
SIZE = len(PARTS) * sum(MAPS.values())


def pooled_maps(backbone: tf.keras.Model) -> tf.keras.Model:
    """Returns the backbone up to its last map, ending in that vector; layers are shared.

    Args:
      backbone: a `mobilefacenet` of any image size, rectifier and output.

    Returns:
      Images [B, H, W, 3] in [-1, 1] -> features [B, 2304], in the order of MAPS and, within a map,
      of PARTS. A middle row of a map with an odd number of rows belongs to both halves.

    Raises:
      InputError: a backbone without those maps.
    """
    found = {layer.name: layer for layer in backbone.layers}
    missing = [name for name in MAPS if name not in found]
    if missing:
        raise InputError(
            f"the backbone has no layers {', '.join(missing)}, whose maps are to be pooled; "
            "mobilefacenet has them."
        )
    pooled = [part for name in MAPS for part in _parts(found[name].output, name)]
    features = layers.Concatenate(name="pooled_maps")(pooled)
    return tf.keras.Model(backbone.input, features, name="backbone")


def columns(parts: Iterable[str] = PARTS, maps: Iterable[str] = MAPS) -> np.ndarray:
    """Returns which of the 2304 features belong to the given parts of the given maps.

    Args:
      parts: names out of PARTS.
      maps: names out of MAPS.

    Returns:
      [M] int64, ascending.

    Raises:
      ValueError: an unknown name.
    """
    parts, maps = set(parts), set(maps)
    unknown = (parts - set(PARTS)) | (maps - set(MAPS))
    if unknown:
        raise ValueError(f"no such part or map: {', '.join(sorted(unknown))}")
    chosen = [
        np.full(channels, name in maps and part in parts)
        for name, channels in MAPS.items()
        for part in PARTS
    ]
    return np.flatnonzero(np.concatenate(chosen))


def _parts(x: tf.Tensor, name: str) -> Iterator[tf.Tensor]:
    """Yields the parts of a map [B, H, W, C], each [B, C], in the order of PARTS."""
    half = x.shape[1] // 2
    for part, rows in (("upper", (0, half)), ("lower", (half, 0))):
        y = layers.Cropping2D((rows, (0, 0)), name=f"{name}_{part}_rows")(x)
        yield layers.GlobalAveragePooling2D(name=f"{name}_{part}")(y)
    yield layers.GlobalMaxPooling2D(name=f"{name}_maximum")(x)
