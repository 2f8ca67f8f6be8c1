"""The command-line flags of the settings: a flag is a field, with the field's name and help.

A flag left alone keeps the preset's value.
"""

import dataclasses
from typing import Any

from absl import flags

from ldl_fer.config import GROUPS, Config, fields
from ldl_fer.errors import InputError
from ldl_fer.presets import PRESETS, replaced


def define_flags(*groups: str, preset: str = "paper") -> None:
    """Defines an absl flag per setting of the named groups, and `--preset`.

    A flag's default is None, "as the preset has it"; its help tells what that is. The flags count
    as the calling module's, so that `--help` shows them.

    Args:
      *groups: names of `Config`'s groups; all of them if none is named.
      preset: the preset if the user names none.
    """
    flags.DEFINE_enum(
        "preset", preset, list(PRESETS), "Set of defaults; every other flag overrides it."
    )
    for group in groups or GROUPS:
        for setting in dataclasses.fields(GROUPS[group]):
            _define_flag(group, setting)


flags.disclaim_key_flags()


def _define_flag(group: str, setting: dataclasses.Field) -> None:
    by_preset = {name: getattr(getattr(c, group), setting.name) for name, c in PRESETS.items()}
    first = next(iter(by_preset.values()))
    if all(value == first for value in by_preset.values()):
        defaults = f"default: {_as_flag(first)}"
    else:
        defaults = "; ".join(f"{name}: {_as_flag(value)}" for name, value in by_preset.items())
    text = f"{setting.metadata['help']} ({defaults})"
    choices = setting.metadata["choices"]
    if choices:
        flags.DEFINE_enum(setting.name, None, list(choices), text)
    elif isinstance(setting.default, bool):
        flags.DEFINE_bool(setting.name, None, text)
    elif isinstance(setting.default, tuple):
        flags.DEFINE_list(setting.name, None, text)
    elif isinstance(setting.default, int):
        flags.DEFINE_integer(setting.name, None, text)
    elif isinstance(setting.default, float) or setting.default is None:
        flags.DEFINE_float(setting.name, None, text)
    else:
        flags.DEFINE_string(setting.name, None, text)


def _as_flag(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in value) or "none"
    return (
        "none"
        if value in ("", None)
        else str(value).lower()
        if value in (True, False)
        else str(value)
    )


def config_from_flags(base: Config | None = None) -> Config:
    """The preset, or `base` where one is given, with every flag that the user set.

    Raises:
      InputError: for a list flag whose items are not numbers, and as `Config.replace`.
    """
    config = base or PRESETS[flags.FLAGS.preset]
    given = {}
    for group in GROUPS:
        for name, setting in fields(group).items():
            value = flags.FLAGS[name].value if name in flags.FLAGS else None
            if value is None:
                continue
            if isinstance(value, list):
                kind = {"decay_epochs": int, "class_names": str}.get(name, float)
                try:
                    value = tuple(kind(item) for item in value)
                except ValueError as error:
                    raise InputError(f"--{name}: {error}") from error
            given[setting.name] = value
    return replaced(config, given)
