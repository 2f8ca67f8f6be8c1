"""A configuration: all groups of settings together, checked.

A preset is a `Config`. Library code receives a `Config` (or one of its groups) and never reads a
flag.
"""

import dataclasses
import json
from typing import Any, get_args, get_origin, get_type_hints

from ldl_fer.errors import InputError
from ldl_fer.settings import (
    AugmentationConfig,
    ComparatorConfig,
    DataConfig,
    MethodConfig,
    NetworkConfig,
    OptimizerConfig,
    RunConfig,
)
from ldl_fer.told_paths import expanded, told_values

_POSITIVE = {
    *("batch_size", "epochs", "num_neighbors", "image_size", "delta", "learning_rate"),
    *("head_units", "erase_aspect"),
}
_RANGES = {"erase_area", "erase_aspect"}
_ANY_SIGN = {"uncertainty_init", "calibration_floor"}
_SHARES = {
    "validation_fraction",
    "erase_probability",
    "erase_area",
    "fixed_uncertainty",
    "uncertainty_momentum",
    "dropout",
    "bank_device_share",
    "smoothing",
    "scn_high_share",
    "scn_rank_weight",
}
_NOT_KEPT = ("trust_model",)
_KINDS = {
    bool: "true or false",
    int: "a whole number below 2147483648",
    float: "a finite number",
    str: "text without NUL",
    tuple[int, ...]: "a list of whole numbers",
    tuple[float, ...]: "a list of finite numbers",
    tuple[str, ...]: "a list of names",
    float | None: "a finite number or none",
}
GROUPS = {
    "data": DataConfig,
    "augmentation": AugmentationConfig,
    "method": MethodConfig,
    "comparator": ComparatorConfig,
    "network": NetworkConfig,
    "optimizer": OptimizerConfig,
    "run": RunConfig,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run, in groups. Field names are unique across groups: they are flags."""

    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    method: MethodConfig = MethodConfig()
    comparator: ComparatorConfig = ComparatorConfig()
    network: NetworkConfig = NetworkConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    run: RunConfig = RunConfig()

    @property
    def neighbors_read(self) -> int:
        """How many neighbors of each sample a training batch tells of: K or 0."""
        wanted = {"ldlva": self.method.label_distribution, "ldl_alsg": True}
        return self.data.num_neighbors if wanted.get(self.comparator.method) else 0

    @property
    def training_data(self) -> DataConfig:
        """The data settings with K as training reads it: methods without neighbors need none."""
        return dataclasses.replace(self.data, num_neighbors=self.neighbors_read)

    @property
    def neighbors_run(self) -> bool:
        """Whether a training batch holds the neighbors' images, for the network to be run on."""
        forward = self.comparator.method == "ldlva" and self.method.neighbors == "forward"
        return forward and self.neighbors_read > 0

    def replace(self, **settings: Any) -> "Config":
        """A copy with the named settings changed, whatever their group.

        Raises:
          InputError: for an unknown name, or a value that is out of range or not among a setting's
            choices.
        """
        changed = {}
        for name, value in settings.items():
            group = _group_of(name)
            _check(name, value, group)
            value = expanded(value) if isinstance(value, str) else value
            changed.setdefault(group, {})[name] = value
        return dataclasses.replace(
            self,
            **{g: dataclasses.replace(getattr(self, g), **c) for g, c in changed.items()},
        )

    def to_json(self) -> str:
        """The settings as indented JSON; `from_json` reads it back, in the same folder.

        Paths are told as `told_paths` has it. --trust_model is left out: it is the user's word, not
        that of a file.
        """
        groups = dataclasses.asdict(self)
        for name in _NOT_KEPT:
            del groups[_group_of(name)][name]
        return json.dumps(told_values(groups), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Inverse of `to_json`; settings that the text lacks keep their defaults.

        Raises:
          ValueError: for text that is not such JSON.
          InputError: as `replace`.
        """
        try:
            settings, groups = {}, json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(groups, dict) or not all(isinstance(g, dict) for g in groups.values()):
            raise ValueError("it is not a JSON object of groups of settings")
        for group in groups.values():
            for name, value in group.items():
                settings[name] = tuple(value) if isinstance(value, list) else value
        for name in _NOT_KEPT:
            settings.pop(name, None)
        return cls().replace(**settings)


def checkpoint_interval(text: str) -> tuple[int, float]:
    """(steps, minutes) of --checkpoint_every; 0 for what it does not name.

    Raises:
      InputError: it is not a number of steps, a number of minutes with an m behind, or both.
    """
    steps, minutes = 0, 0.0
    for part in text.split(","):
        number = part.strip()
        try:
            if number.endswith("m"):
                minutes = float(number.removesuffix("m"))
            else:
                steps = int(number)
        except ValueError:
            minutes = -1
    if not (steps >= 0 and 0 <= minutes < float("inf")):
        raise InputError(
            f"checkpoint_every is a number of steps as 500, of minutes as 10m, or both as 500,10m; "
            f"not {text!r}"
        )
    return steps, minutes


def fields(group: str) -> dict[str, dataclasses.Field]:
    """Name -> field of a group's settings."""
    return {f.name: f for f in dataclasses.fields(GROUPS[group])}


def _group_of(name: str) -> str:
    for group in GROUPS:
        if name in fields(group):
            return group
    raise InputError(f"there is no setting {name!r}")


def _check(name: str, value: Any, group: str) -> None:
    choices = fields(group)[name].metadata["choices"]
    kind = get_type_hints(GROUPS[group])[name]
    if not _is_of(value, kind):
        raise InputError(f"{name} is {_KINDS[kind]}, not {value!r}")
    if name in _RANGES and not (len(value) == 2 and value[0] <= value[1]):
        raise InputError(f"{name} is two numbers, the smaller first, not {value!r}")
    if name == "class_names" and (len(value) < 2 or len(set(value)) < len(value)):
        raise InputError(f"class_names are two or more names, none twice, not {value!r}")
    if choices and value not in choices:
        raise InputError(f"{name} is one of {', '.join(choices)}, not {value!r}")
    if name == "checkpoint_every":
        checkpoint_interval(value)
    numbers = [v for v in (value if isinstance(value, tuple) else (value,)) if _is_of(v, float)]
    if name in _POSITIVE and min(numbers) <= 0:
        raise InputError(f"{name} must be above 0, not {value}")
    if name not in _ANY_SIGN and min(numbers, default=0) < 0:
        raise InputError(f"{name} must not be negative, as {value} is")
    if name in _SHARES and max(numbers) > 1:
        raise InputError(f"{name} must not be above 1, as {value} is")


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a setting's declared kind; numbers are finite."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(v, get_args(kind)[0]) for v in value)
    if get_args(kind):  # float | None
        return any(_is_of(value, one) for one in get_args(kind))
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and abs(value) < 1e300  # neither NaN nor infinite
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    return isinstance(value, kind) and "\0" not in str(value)
