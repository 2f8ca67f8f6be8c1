"""A configuration: all groups of settings together, checked.

A preset is a `Config`. Library code receives a `Config` (or one of its groups) and never reads a
flag.
"""

import dataclasses
import json
from typing import Any, get_type_hints

from ldl_fer.errors import InputError
from ldl_fer.setting_checks import check_method, check_setting
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

_NOT_KEPT = ("trust_model",)
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
          InputError: for an unknown name, a value that is out of range or not among a setting's
            choices, or values that do not go together.
        """
        changed = {}
        for name, value in settings.items():
            group = _group_of(name)
            check_setting(name, value, kinds(group)[name], fields(group)[name].metadata["choices"])
            value = expanded(value) if isinstance(value, str) else value
            changed.setdefault(group, {})[name] = value
        groups = {g: dataclasses.replace(getattr(self, g), **c) for g, c in changed.items()}
        replaced = dataclasses.replace(self, **groups)
        check_method(replaced.method)
        return replaced

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


def fields(group: str) -> dict[str, dataclasses.Field]:
    """Name -> field of a group's settings."""
    return {f.name: f for f in dataclasses.fields(GROUPS[group])}


def kinds(group: str) -> dict[str, Any]:
    """Name -> declared type of a group's settings, a key of `setting_checks.KINDS`."""
    return get_type_hints(GROUPS[group])


def _group_of(name: str) -> str:
    for group in GROUPS:
        if name in fields(group):
            return group
    raise InputError(f"there is no setting {name!r}")
