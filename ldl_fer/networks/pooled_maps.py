"""A backbone's last maps pooled to one vector, on which the head of a frozen backbone is trained.

Expression lies in where the maps respond, which the embedding of face recognition has learned to
forget: each map gives the mean of its upper half, the mean of its lower half, and its maximum.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError

layers = tf.keras.layers

# In the order of the features: the maps with their channels, and in each map the parts.
MAPS: Mapping[str, int] = MappingProxyType(
    {"map_stride8": 128, "map_stride16": 128, "map_stride16_wide": 512}
)
FACERES_MAPS: Mapping[str, int] = MappingProxyType(
    {"faceres_stride16": 512, "faceres_stride32": 1024}
)
RESNET18_MAPS: Mapping[str, int] = MappingProxyType(
    {"stage2_block2_relu2": 128, "stage3_block2_relu2": 256, "stage4_block2_relu2": 512}
)
RESNET50_MAPS: Mapping[str, int] = MappingProxyType(
    {"stage3_block6_relu3": 1024, "stage4_block3_relu3": 2048}
)
PARTS = ("upper", "lower", "maximum")
SIZE = len(PARTS) * sum(MAPS.values())
# In the order in which several are joined. ResNet-50 stands first, for it has layers of 18's names.
_LAYOUTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "mobilefacenet": MAPS,
        "faceres": FACERES_MAPS,
        "resnet50": RESNET50_MAPS,
        "resnet18": RESNET18_MAPS,
    }
)


def pooled_maps(backbone: tf.keras.Model) -> tf.keras.Model:
    """Returns the backbone up to its last map, ending in that vector; layers are shared.

    Args:
      backbone: a `mobilefacenet` of any image size, rectifier and output, a `faceres`, or a
        `torch_resnet`.

    Returns:
      Images [B, H, W, 3] in [-1, 1] -> features [B, P], in the order of MAPS (P = 2304),
      FACERES_MAPS (4608), RESNET18_MAPS (2688) or RESNET50_MAPS (9216) and, within a map, of PARTS.
      A middle row of a map with an odd number of rows belongs to both halves.

    Raises:
      InputError: a backbone without those maps.
    """
    features = layers.Concatenate(name="pooled_maps")(_pooled(backbone, _layout_of(backbone)))
    return tf.keras.Model(backbone.input, features, name="backbone")


def joined_pooled_maps(backbones: Sequence[tf.keras.Model], image_size: int) -> tf.keras.Model:
    """Returns one network that ends in the pooled maps of several backbones, one after the other.

    Each takes the images in its own size, to which a bilinear layer resizes them, and is a model
    within, named as `--backbone` names it. Their order is that of the layouts, not of the argument.

    Args:
      backbones: of different kinds, each as `pooled_maps` takes it.
      image_size: H = W, pixels.

    Returns:
      Images [B, H, W, 3] in [-1, 1] -> features [B, P], P the sum of theirs.

    Raises:
      InputError: a backbone without those maps.
    """
    images, parts = tf.keras.Input([image_size, image_size, 3]), []
    by_layout = {_layout_of(backbone): backbone for backbone in backbones}
    for layout in filter(by_layout.get, _LAYOUTS):
        backbone, x = by_layout[layout], images
        size = backbone.input_shape[1]
        if size != image_size:
            x = layers.Resizing(size, size, name=f"{layout}_pixels")(x)
        parts += tf.keras.Model(backbone.input, _pooled(backbone, layout), name=layout)(x)
    features = layers.Concatenate(name="pooled_maps")(parts)
    return tf.keras.Model(images, features, name="backbone")


def _layout_of(backbone: tf.keras.Model) -> str:
    names = {layer.name for layer in backbone.layers}
    found = [layout for layout, maps in _LAYOUTS.items() if maps.keys() <= names]
    if not found:
        raise InputError(
            f"the backbone has no layers {', '.join(MAPS)}, whose maps are to be pooled; "
            "mobilefacenet has them; faceres, resnet18 and resnet50 have others that are known."
        )
    return found[0]


def _pooled(backbone: tf.keras.Model, layout: str) -> list[tf.Tensor]:
    maps = _LAYOUTS[layout]
    return [part for name in maps for part in _parts(backbone.get_layer(name).output, name)]


def columns(
    parts: Iterable[str] = PARTS, maps: Iterable[str] | None = None, size: int = SIZE
) -> np.ndarray:
    """Returns which of P features belong to the given parts of the given maps.

    Args:
      parts: names out of PARTS.
      maps: names of the backbone's maps; None: all of them.
      size: P, which says what backbone they are of, or which several.

    Returns:
      [M] int64, ascending.

    Raises:
      ValueError: an unknown name.
      KeyError: no backbone has so many features.
    """
    layout = _layout_of_size(size)
    parts, maps = set(parts), set(layout if maps is None else maps)
    unknown = (parts - set(PARTS)) | (maps - set(layout))
    if unknown:
        raise ValueError(f"no such part or map: {', '.join(sorted(unknown))}")
    chosen = [
        np.full(channels, name in maps and part in parts)
        for name, channels in layout.items()
        for part in PARTS
    ]
    return np.flatnonzero(np.concatenate(chosen))


def _layout_of_size(size: int) -> Mapping[str, int]:
    """Returns the maps of the one backbone, or the ones together, that have P features."""
    for count in range(1, len(_LAYOUTS) + 1):
        for layouts in itertools.combinations(_LAYOUTS.values(), count):
            joined = {name: channels for maps in layouts for name, channels in maps.items()}
            if len(PARTS) * sum(joined.values()) == size:
                return joined
    raise KeyError(size)


def _parts(x: tf.Tensor, name: str) -> Iterator[tf.Tensor]:
    """Yields the parts of a map [B, H, W, C], each [B, C], in the order of PARTS."""
    half = x.shape[1] // 2
    for part, rows in (("upper", (0, half)), ("lower", (half, 0))):
        y = layers.Cropping2D((rows, (0, 0)), name=f"{name}_{part}_rows")(x)
        yield layers.GlobalAveragePooling2D(name=f"{name}_{part}")(y)
    yield layers.GlobalMaxPooling2D(name=f"{name}_maximum")(x)
