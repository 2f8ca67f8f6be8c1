"""Flags are the settings, no more and no less; what they cannot be is said by name."""

import dataclasses
import re
import subprocess
import sys

import pytest

from ldl_fer.config import GROUPS, TOP, Config
from ldl_fer.config.presets import PRESETS


def by_flags(*given):
    """The settings that flags make, or the error; in a process of its own: flags are global."""
    code = """
import sys
from absl import flags
from ldl_fer.config.flags import config_from_flags, define_flags
define_flags()
try:
    flags.FLAGS(sys.argv)
    print(config_from_flags().to_json())
except (ValueError, flags.Error) as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True)
    return Config.from_json(done.stdout) if done.returncode == 0 else done.stderr


def test_flags_override_the_preset():
    found = by_flags(
        *("--preset=released_raf_resnet50", "--gamma=0.5", "--nosample_uncertainty"),
        *("--decay_epochs=3,7", "--class_names=Calm,Glad", "--calibration_floor=-2"),
    )
    assert found == PRESETS["released_raf_resnet50"].replace(
        gamma=0.5,
        sample_uncertainty=False,
        decay_epochs=(3, 7),
        class_names=("Calm", "Glad"),
        calibration_floor=-2.0,
    )


@pytest.mark.parametrize("value", ["", "none"])
def test_a_flag_can_say_none(value):
    preset = PRESETS["released_raf_resnet18"]
    found = by_flags("--preset=released_raf_resnet18", f"--calibration_floor={value}")
    assert preset.ldlva.calibration_floor == -1.3
    assert found == preset.replace(calibration_floor=None)


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--decay_epochs=3,x", "--decay_epochs is a list of whole numbers, comma separated, not"),
        ("--erase_area=0.1;0.2", "--erase_area is a list of finite numbers, comma separated, not"),
        ("--calibration_floor=low", "calibration_floor"),
    ],
)
def test_a_flag_that_is_no_number_says_what_it_takes(flag, text):
    error = by_flags(flag)
    assert text in error and flag.partition("=")[2] in error and "literal" not in error


def settings_of(group):
    """Names of the settings that stand in the group itself."""
    parts = dataclasses.fields(GROUPS[group])
    return [part.name for part in parts if not dataclasses.is_dataclass(part.default)]


def train_help():
    command = [sys.executable, "-m", "ldl_fer", "train", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_help_shows_every_setting_under_its_group():
    text = train_help()
    for group in GROUPS:
        title = "method" if group == TOP else group
        part = re.search(rf"^{title}:\n((?:  .*\n)+)", text, re.M)
        shown = re.findall(r"^  --(?:\[no\])?(\w+)", part[1], re.M) if part else []
        assert shown == settings_of(group) + ["resume"] * (group == "run")


def cells(lines):
    """Rows of a table whose first line shows where columns start; parts of a cell are joined."""
    starts = [found.start() for found in re.finditer(r"\S+", lines[0])]
    rows = []
    for line in lines:
        name = line[: starts[0]].strip()
        parts = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if line is lines[0] or name:
            rows.append((name, parts))
        else:  # the row goes on
            rows[-1] = rows[-1][0], ["".join(both) for both in zip(rows[-1][1], parts, strict=True)]
    return rows


def test_the_table_has_what_presets_differ_in_and_nothing_else():
    title, *lines = train_help().rpartition("\n\n")[2].splitlines()
    (_, names), *rows = cells(lines)
    assert title == "defaults by preset:" and names == list(PRESETS)
    values = {
        name: [getattr(config.group(group), name) for config in PRESETS.values()]
        for group in GROUPS
        for name in settings_of(group)
    }
    differing = {name: found for name, found in values.items() if len(set(found)) > 1}
    assert [name for name, _ in rows] == list(differing)
    for name, shown in rows:
        for text, value in zip(shown, differing[name], strict=True):
            if isinstance(value, tuple):
                assert text == (",".join(map(str, value)) or "none")
            elif value is None or isinstance(value, (bool, str)):
                assert text == str(value).lower()
            else:
                assert float(text) == value


def test_a_default_that_presets_share_stands_beside_its_flag():
    text = " ".join(train_help().split())
    assert (
        "--num_neighbors K, the number of neighbors of a sample in the auxiliary space (Eq. 2). "
        f"(default: {Config().data.num_neighbors})" in text
    )
    assert "--epochs Passes over the training set. (default: by preset)" in text
    assert "(float32 | mixed_float16 | mixed_bfloat16; default: float32)" in text
