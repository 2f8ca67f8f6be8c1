"""The command-line flags of the settings: a flag is a field, with the field's name and help.

A flag left alone keeps the preset's value.
"""

import dataclasses
from collections.abc import Collection
from typing import Any, get_args

from absl import flags

from ldl_fer.config import GROUPS, TOP, Config, fields, kinds
from ldl_fer.config.checks import KINDS
from ldl_fer.config.help import subject, table
from ldl_fer.config.presets import PRESETS, replaced
from ldl_fer.errors import InputError

_NONE = "none"  # a flag's value None would say that it was left alone


class _NumberOrNone(flags.ArgumentParser):
    syntactic_help = "a number or none"

    def parse(self, argument: Any) -> float | str:
        return _NONE if argument in ("", _NONE) else float(argument)


def define_flags(*groups: str, preset: str = "paper", without: Collection[str] = ()) -> None:
    """Defines an absl flag per setting of the named groups, and `--preset`.

    A flag's default is None, "as the preset has it". Its help names the value where all presets
    agree, else `preset_table` does.

    Args:
      *groups: names of `Config`'s groups; all of them if none is named. They are the subjects that
        --help sorts the flags by.
      preset: the preset if the user names none.
      without: names of settings that the command does not look at.
    """
    flags.DEFINE_enum(
        "preset", preset, list(PRESETS), "Set of defaults; every other flag overrides it."
    )
    for group in groups or GROUPS:
        with subject("method" if group == TOP else group):
            for name, setting in fields(group).items():
                if name not in without:
                    _define_flag(group, setting)


def define_flags_of(group: str, names: Collection[str]) -> None:
    """Defines the flags of some settings, for a command that has no presets.

    Args:
      group: the name of their group.
      names: of the settings.
    """
    for name in names:
        _define_flag(group, fields(group)[name])


def preset_table() -> str:
    """Returns a row for each flag of the command whose value differs between presets."""
    rows = [["", *PRESETS]]
    for group in GROUPS:
        for name in fields(group):
            values = _by_preset(group, name)
            if name in flags.FLAGS and len(set(values)) > 1:
                rows.append([name, *values])
    return f"defaults by preset:\n{table(rows)}"


def _by_preset(group: str, name: str) -> list[str]:
    return [_as_flag(getattr(config.group(group), name)) for config in PRESETS.values()]


def _define_flag(group: str, setting: dataclasses.Field) -> None:
    values = set(_by_preset(group, setting.name))
    default = values.pop() if len(values) == 1 else "by preset"
    text = setting.metadata["help"]
    if default != _NONE or setting.metadata["choices"]:
        text += f" (default: {default})"
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


def config_from_flags(base: Config | None = None, names: Collection[str] | None = None) -> Config:
    """Returns the preset, or `base` where one is given, with every flag that the user set.

    Args:
      base: a configuration.
      names: of the settings whose flags are read; None: all that have one.

    Raises:
      InputError: as `settings_from_flags` and `Config.replace`.
    """
    return replaced(base or PRESETS[flags.FLAGS.preset], settings_from_flags(names))


def settings_from_flags(names: Collection[str] | None = None) -> dict[str, Any]:
    """Returns the settings whose flags the user set, name -> value.

    Args:
      names: of the settings whose flags are read; None: all that have one.

    Raises:
      InputError: for a list flag whose items are not numbers.
    """
    given = {}
    for group in GROUPS:
        for name, kind in kinds(group).items():
            wanted = name in flags.FLAGS and (names is None or name in names)
            value = flags.FLAGS[name].value if wanted else None
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
    return given
