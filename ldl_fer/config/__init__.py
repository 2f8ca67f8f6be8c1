"""A configuration: the settings of a run, in groups, checked.

A preset is a `Config`. Library code receives a `Config` (or one of its groups) and never reads a
flag.
"""

import dataclasses
import difflib
import functools
import json
import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_type_hints

from ldl_fer.config import expressions, noisy_labels
from ldl_fer.config.checks import check_setting
from ldl_fer.config.method_settings import MethodSettings
from ldl_fer.config.methods import (
    METHOD_SETTINGS,
    CrossEntropySettings,
    EACSettings,
    LabelSmoothingSettings,
    LDLALSGSettings,
    LDLVASettings,
    RULSettings,
    SCNSettings,
)
from ldl_fer.config.settings import (
    AugmentationConfig,
    DataConfig,
    NetworkConfig,
    OptimizerConfig,
    RunConfig,
    setting,
)
from ldl_fer.errors import InputError
from ldl_fer.files import values_without_home, with_home

if TYPE_CHECKING:
    import pandas as pd

_NOT_KEPT = ("trust_model",)


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run: the method and what all methods share, in groups; then each method's.

    Names are unique across groups: they are flags.

      config = Config.preset("small", train_data_path="train.csv", train_image_dir="images")
      config.replace(epochs=30, method="scn")
    """

    method: str = setting(
        "ldlva",
        "; ".join(f"{name}: {kind.summary}" for name, kind in METHOD_SETTINGS.items()) + ".",
        choices=tuple(METHOD_SETTINGS),
    )
    class_weights: str = setting(
        "none",
        "Weight of a sample's classification loss; balanced: N / (C N_c).",
        choices=("none", "balanced"),
    )
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    network: NetworkConfig = NetworkConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    run: RunConfig = RunConfig()
    ldlva: LDLVASettings = LDLVASettings()
    cross_entropy: CrossEntropySettings = CrossEntropySettings()
    label_smoothing: LabelSmoothingSettings = LabelSmoothingSettings()
    scn: SCNSettings = SCNSettings()
    rul: RULSettings = RULSettings()
    eac: EACSettings = EACSettings()
    ldl_alsg: LDLALSGSettings = LDLALSGSettings()
    gce: noisy_labels.GCESettings = noisy_labels.GCESettings()
    sce: noisy_labels.SCESettings = noisy_labels.SCESettings()
    elr: noisy_labels.ELRSettings = noisy_labels.ELRSettings()
    mixup: noisy_labels.MixupSettings = noisy_labels.MixupSettings()
    nal: noisy_labels.NALSettings = noisy_labels.NALSettings()
    resup: noisy_labels.ReSupSettings = noisy_labels.ReSupSettings()
    island_loss: expressions.IslandLossSettings = expressions.IslandLossSettings()
    air: noisy_labels.AIRSettings = noisy_labels.AIRSettings()
    pdls: expressions.PDLSSettings = expressions.PDLSSettings()
    ltnet: expressions.LTNetSettings = expressions.LTNetSettings()
    ldt: expressions.LDTSettings = expressions.LDTSettings()
    dacl: expressions.DACLSettings = expressions.DACLSettings()
    ran: expressions.RANSettings = expressions.RANSettings()
    dmue: expressions.DMUESettings = expressions.DMUESettings()
    soft: expressions.SOFTSettings = expressions.SOFTSettings()
    mek: expressions.MEKSettings = expressions.MEKSettings()
    nla: expressions.NLASettings = expressions.NLASettings()
    la_net: expressions.LANetSettings = expressions.LANetSettings()
    ada_df: expressions.AdaDFSettings = expressions.AdaDFSettings()

    @classmethod
    def preset(cls, name: str = "paper", /, **settings: Any) -> "Config":
        """Returns a preset with settings of one's own, as `ldl-fer train --preset` has it.

        Args:
          name: of `presets.PRESETS`.
          **settings: by the names of the flags; a method brings what its paper sets, too.

        Raises:
          InputError: there is no such preset, or as `replace`.
        """
        from ldl_fer.config.presets import PRESETS, replaced

        if name not in PRESETS:
            raise InputError(f"there is no preset {name!r}{_nearest(name, PRESETS)}")
        return replaced(PRESETS[name], settings)

    def __repr__(self) -> str:
        """Returns Python that makes it: the settings that are not the paper's."""
        paper = Config()
        changed = [
            f"{name}={getattr(self.group(group), name)!r}"
            for group in GROUPS
            for name in fields(group)
            if getattr(self.group(group), name) != getattr(paper.group(group), name)
        ]
        return f"Config().replace({', '.join(changed)})" if changed else "Config()"

    @property
    def table(self) -> "pd.DataFrame":
        """The settings by name, those of other methods left out: `value`, `group`, `help`."""
        import pandas as pd

        rows = {
            name: (getattr(self.group(group), name), group, rules.metadata["help"])
            for group in GROUPS
            if group == self.method or group not in METHOD_SETTINGS
            for name, rules in fields(group).items()
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "group", "help"])

    @property
    def method_settings(self) -> MethodSettings:
        """The settings of the method that trains."""
        return self.group(self.method)

    def group(self, name: str) -> Any:
        """Returns the group of that name; for `TOP`, the configuration itself."""
        return self if name == TOP else getattr(self, name)

    def replace(self, **settings: Any) -> "Config":
        """Returns a copy with the named settings changed, whatever their group.

        Paths may be `pathlib.Path`, lists may be lists.

        Raises:
          InputError: for an unknown name, which is answered with the nearest one, a value that is
            out of range or not among a setting's choices, or values that do not go together.
        """
        changed = {}
        for name, value in settings.items():
            group = _group_of(name)
            rules, value = fields(group)[name].metadata, _plain(value)
            check_setting(name, value, kinds(group)[name], rules["choices"], rules["checks"])
            if isinstance(value, tuple):
                value = tuple(with_home(one) if isinstance(one, str) else one for one in value)
            value = with_home(value) if isinstance(value, str) else value
            changed.setdefault(group, {})[name] = value
        top = changed.pop(TOP, {})
        groups = {g: dataclasses.replace(self.group(g), **c) for g, c in changed.items()}
        replaced = dataclasses.replace(self, **top, **groups)
        for method in METHOD_SETTINGS:
            replaced.group(method).check()
        return replaced

    def to_json(self) -> str:
        """Returns the settings as indented JSON; `from_json` reads it back, in the same folder.

        Paths are written by `files.without_home`. --trust_model is left out: it is the user's word,
        not that of a file.
        """
        groups = dataclasses.asdict(self)
        for name in _NOT_KEPT:
            del groups[_group_of(name)][name]
        return json.dumps(values_without_home(groups), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Reads what `to_json` wrote; settings that the text lacks keep their defaults.

        Which group a setting stands in is not looked at: files of earlier versions have others.

        Raises:
          ValueError: for text that is not such JSON.
          InputError: as `replace`.
        """
        try:
            content = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object of settings")
        settings = {}
        for name, value in content.items():
            if not isinstance(value, dict) and name not in fields(TOP):
                raise ValueError(f"{name} is not a group of settings")
            settings |= value if isinstance(value, dict) else {name: value}
        for name in _NOT_KEPT:
            settings.pop(name, None)
        return cls().replace(**settings)


TOP = "top"  # The settings of `Config` that stand in no group.
GROUPS: dict[str, type] = {TOP: Config} | {
    field.name: type(field.default) for field in dataclasses.fields(Config) if not field.metadata
}


@functools.cache
def fields(group: str) -> Mapping[str, dataclasses.Field]:
    """Returns the fields of a group's settings by name."""
    return MappingProxyType({f.name: f for f in dataclasses.fields(GROUPS[group]) if f.metadata})


@functools.cache
def kinds(group: str) -> Mapping[str, Any]:
    """Returns the declared types of a group's settings by name: keys of `checks.KINDS`."""
    declared = get_type_hints(GROUPS[group])
    return MappingProxyType({name: declared[name] for name in fields(group)})


def _group_of(name: str) -> str:
    for group in GROUPS:
        if name in fields(group):
            return group
    known = [setting for group in GROUPS for setting in fields(group)]
    raise InputError(f"there is no setting {name!r}{_nearest(name, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    """Returns the end of a sentence on an unknown name: the nearest one, or all if they are few."""
    near = difflib.get_close_matches(str(name), known := list(known), 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f": it is one of {', '.join(known)}" if len(known) < 20 else ""


def _plain(value: Any) -> Any:
    """Returns a path as text, a list as a tuple."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value
