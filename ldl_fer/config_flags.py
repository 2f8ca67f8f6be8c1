"""The command-line flags of the settings: a flag is a field, with the field's name and help.

A flag left alone keeps the preset's value.
"""

import dataclasses
from collections.abc import Collection
from typing import Any, get_args

from absl import flags

from ldl_fer.config import GROUPS, Config, fields, kinds
from ldl_fer.errors import InputError
from ldl_fer.presets import PRESETS, replaced
from ldl_fer.setting_checks import KINDS

# absl counts a flag as that of the module that defines it, unless that one disclaims it: then as
# that of the command that called `define_flags`, whose --help shows it.
flags.disclaim_key_flags()

_NONE = "none"  # a flag's value None would say that it was left alone


class _NumberOrNone(flags.ArgumentParser):
    syntactic_help = "a number or none"

    def parse(self, argument: Any) -> float | str:
        return _NONE if argument in ("", _NONE) else float(argument)


def define_flags(*groups: str, preset: str = "paper", without: Collection[str] = ()) -> None:
    """Defines an absl flag per setting of the named groups, and `--preset`.

    A flag's default is None, "as the preset has it"; its help tells what that is. The flags count
    as the calling module's, so that `--help` shows them.

    Args:
      *groups: names of `Config`'s groups; all of them if none is named.
      preset: the preset if the user names none.
      without: names of settings that the command does not look at.
    """
    flags.DEFINE_enum(
        "preset", preset, list(PRESETS), "Set of defaults; every other flag overrides it."
    )
    for group in groups or GROUPS:
        for name, setting in fields(group).items():
            if name not in without:
                _define_flag(group, setting)


def _define_flag(group: str, setting: dataclasses.Field) -> None:
    by_preset = {name: getattr(c.group(group), setting.name) for name, c in PRESETS.items()}
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
    elif isinstance(setting.default, float):
        flags.DEFINE_float(setting.name, None, text)
    elif setting.default is None:
        serializer = flags.ArgumentSerializer()
        flags.DEFINE(_NumberOrNone(), setting.name, None, text, serializer=serializer)
    else:
        flags.DEFINE_string(setting.name, None, text)


def _as_flag(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in value) or _NONE
    if isinstance(value, bool):
        return str(value).lower()
    return _NONE if value in ("", None) else str(value)


def config_from_flags(base: Config | None = None) -> Config:
    """The preset, or `base` where one is given, with every flag that the user set.

    Raises:
      InputError: for a list flag whose items are not numbers, and as `Config.replace`.
    """
    config = base or PRESETS[flags.FLAGS.preset]
    given = {}
    for group in GROUPS:
        for name, kind in kinds(group).items():
            value = flags.FLAGS[name].value if name in flags.FLAGS else None
            if value is None:
                continue
            if isinstance(value, list):
                try:
                    value = tuple(get_args(kind)[0](item) for item in value)
                except ValueError as error:
                    raise InputError(
                        f"--{name} is {KINDS[kind]}, comma separated, not {','.join(value)!r}"
                    ) from error
            given[name] = None if kind == float | None and value == _NONE else value
    return replaced(config, given)
