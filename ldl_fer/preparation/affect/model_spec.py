"""Describes how a model is fed, and where in its outputs valence and arousal are.

As JSON, every entry optional but the scaling of models that take floats:

  {"image_size": 224, "channels": "RGB", "layout": "NCHW",
   "scale": "1/255", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
   "outputs": ["logits"], "columns": [8, 9], "tanh": false, "output_scale": 1}

NAMED_SPECS has those of models that people have.
"""

import dataclasses
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ldl_fer.errors import InputError

_IMAGENET = {"scale": "1/255", "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# Eight class logits, then valence and arousal; the plain files of the same networks lack these.
_LAST_TWO = {"channels": "RGB", "layout": "NCHW", "columns": (-2, -1), "min_columns": 9}
NAMED_SPECS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # EmotiEffLib (HSEmotion): enet_b0_8_va_mtl, enet_b2_*_mtl, mbf_va_mtl.
        "hsemotion_enet_b0": {"image_size": 224} | _IMAGENET | _LAST_TWO,
        "hsemotion_enet_b2": {"image_size": 260} | _IMAGENET | _LAST_TWO,
        "hsemotion_mbf": {"image_size": 112, "scale": "1/255", "mean": 0.5, "std": 0.5} | _LAST_TWO,
        # EmoNet: outputs by the file's own names, see `AffectModel`.
        "emonet": {"image_size": 256, "channels": "RGB", "layout": "NCHW", "scale": "1/255"},
    }
)
CHANNELS = ("RGB", "BGR")
LAYOUTS = ("NCHW", "NHWC")
_SCALING = ("scale", "offset", "mean", "std")


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """Facts about a model that its file does not hold.

    Attributes:
      image_size: H = W, pixels; None: as the file says.
      channels: order of the colors.
      layout: of the input; None: as the file's shape shows.
      scale, offset, mean, std: a number each, or one per channel in the order of `channels`: the
        network is given (scale * pixel + offset - mean) / std, pixels being 0 to 255.
      outputs: name of the output that holds both, or names of valence's and arousal's; (): the only
        output, or those called valence and arousal.
      columns: number of valence's column and of arousal's, from 0 or, negative, from the end;
        (): 0 and 1 of an output of two columns, and the only column where there are two outputs.
      tanh: whether tanh is still to be applied.
      output_scale: factor that brings the output, before tanh, to [-1, 1], such as 0.1 for -10..10.
      min_columns: the least columns of an output that has valence and arousal; one with fewer is of
        a sister of the model that has none.
    """

    image_size: int | None = None
    channels: str = "RGB"
    layout: str | None = None
    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    outputs: tuple[str, ...] = ()
    columns: tuple[int, ...] = ()
    tanh: bool = False
    output_scale: float = 1.0
    min_columns: int = 1

    @property
    def scaling_known(self) -> bool:
        """Whether any of scale, offset, mean and std is given."""
        return any(getattr(self, name) is not None for name in _SCALING)

    def normalized(self, images: np.ndarray) -> np.ndarray:
        """Scales RGB uint8 [B, S, S, 3] to float32 [B, S, S, 3], colors as in `channels`."""
        if self.channels == "BGR":
            images = images[..., ::-1]
        scale, offset, mean, std = (
            np.float32(default if getattr(self, name) is None else getattr(self, name))
            for name, default in zip(_SCALING, (1, 0, 0, 1), strict=True)
        )
        return (images.astype(np.float32) * scale + offset - mean) / std

    def to_json(self) -> str:
        """Returns indented JSON of the values that differ from the defaults."""
        plain = {f.name: f.default for f in dataclasses.fields(self)}
        changed = {k: v for k, v in dataclasses.asdict(self).items() if v != plain[k]}
        return json.dumps(changed, indent=2) + "\n"


def make_spec(settings: Mapping[str, Any], origin: str) -> ModelSpec:
    """Makes a spec of values from JSON or flags; numbers may be texts such as "1/255".

    Args:
      settings: by the names of `ModelSpec`'s attributes; None is left out.
      origin: name of their source, for messages.

    Raises:
      InputError: an unknown name, or a value of another kind or number.
    """
    kinds = {
        "image_size": lambda value: _one(_whole_numbers(value)),
        "channels": lambda value: _choice(value, CHANNELS),
        "layout": lambda value: _choice(value, LAYOUTS),
        **dict.fromkeys(_SCALING, _per_channel),
        "outputs": lambda value: tuple(str(item) for item in _few(_listed(value), 1, 2)),
        "columns": lambda value: _few(_whole_numbers(value), 2),
        "tanh": _truth,
        "output_scale": lambda value: _one(_numbers(value)),
        "min_columns": lambda value: _one(_whole_numbers(value)),
    }
    made = {}
    for name, value in settings.items():
        if name not in kinds:
            raise InputError(f"{origin}: there is no {name!r}; there are {', '.join(kinds)}.")
        if value is None:
            continue
        try:
            made[name] = kinds[name](value)
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise InputError(f"{origin}: {name} is {value!r}: {error}.") from error
    if 0.0 in made.get("std", ()):
        raise InputError(f"{origin}: std must not be 0.")
    if made.get("image_size", 1) < 1:
        raise InputError(f"{origin}: image_size must be at least 1 pixel.")
    return ModelSpec(**made)


def read_spec(path: str | Path, changes: Mapping[str, Any] | None = None) -> ModelSpec:
    """Takes the spec of a name in NAMED_SPECS or in a JSON file, and replaces some values.

    Raises:
      InputError: neither name nor readable file, or as `make_spec`.
    """
    given = {name: value for name, value in (changes or {}).items() if value is not None}
    if str(path) in NAMED_SPECS:
        return make_spec({**NAMED_SPECS[str(path)], **given}, f"--spec={path}")
    if not Path(path).exists():
        raise InputError(
            f"{path} is neither a file nor one of the specifications by name: "
            f"{', '.join(NAMED_SPECS)}."
        )
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f'{path} must hold an object, such as {{"image_size": 112}}.')
    return make_spec(settings | given, str(path))


def _listed(value):
    return value if isinstance(value, (list, tuple)) else [value]


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(
        float(Fraction(item) if isinstance(item, str) else item) for item in _listed(value)
    )


def _whole_numbers(value: Any) -> tuple[int, ...]:
    numbers = _numbers(value)
    if not all(number.is_integer() for number in numbers):
        raise ValueError("whole numbers are needed")
    return tuple(map(int, numbers))


def _few(values, *counts):
    if len(values) not in counts:
        raise ValueError(f"{' or '.join(map(str, counts))} values are needed")
    return values


def _one(values):
    return _few(values, 1)[0]


def _per_channel(value):
    return _few(_numbers(value), 1, 3)


def _choice(value, choices):
    if value not in choices:
        raise ValueError(f"one of {', '.join(choices)} is needed")
    return value


def _truth(value):
    if not isinstance(value, bool):
        raise ValueError("true or false is needed")
    return value
