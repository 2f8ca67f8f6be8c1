"""Flags are the settings, no more and no less; what they cannot be is said by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from ldl_fer.config import GROUPS, Config, fields
from ldl_fer.presets import PRESETS


def by_flags(*given):
    """The settings that flags make, or the error; in a process of its own: flags are global."""
    code = """
import sys
from absl import flags
from ldl_fer.config_flags import config_from_flags, define_flags
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
    ("flag", "told"),
    [
        ("--decay_epochs=3,x", "--decay_epochs is a list of whole numbers, comma separated, not"),
        ("--erase_area=0.1;0.2", "--erase_area is a list of finite numbers, comma separated, not"),
        ("--calibration_floor=low", "calibration_floor"),
    ],
)
def test_a_flag_that_is_no_number_says_what_it_takes(flag, told):
    error = by_flags(flag)
    assert told in error and flag.partition("=")[2] in error and "literal" not in error


def test_help_shows_every_setting_and_the_presets_differences():
    train = Path(__file__).parents[1] / "train.py"
    done = subprocess.run([sys.executable, train, "--help"], capture_output=True, text=True)
    for group in GROUPS:
        for name in fields(group):
            assert f"]{name}:" in done.stdout or f"--{name}:" in done.stdout
    assert "released_raf_resnet50: 0.01" in " ".join(done.stdout.split())
