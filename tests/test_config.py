"""Presets are the paper's and the released code's (docs/equations.md); flags are the settings."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from ldl_fer.config import Config
from ldl_fer.presets import PRESETS


def settings(preset):
    groups = dataclasses.asdict(PRESETS[preset]).values()
    return {name: value for group in groups for name, value in group.items()}


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "paper",
            dict(
                image_size=224, pad=16, backbone="resnet50", num_neighbors=8, batch_size=32,
                epochs=30,
                learning_rate=1e-3, decay_epochs=(), similarity_kernel="gaussian", delta=0.5,
                calibration_normalization="layer", calibration_floor=None, log_epsilon=0.0,
                uncertainty_form="direct", uncertainty_init=0.0, gamma=0.1, center_rows="main",
                separation_kernel="ordered_sqrt", separation_in_loss=True, erase_probability=0.0,
                class_weights="none",
            ),
        ),
        (
            "released_raf_resnet50",
            dict(
                image_size=112, pad=4, backbone="resnet50", learning_rate=1e-4, epochs=60,
                decay_epochs=(10, 30), decay_factor=0.1, similarity_kernel="laplace", delta=0.5,
                calibration_normalization="batch", calibration_floor=-1.3, log_epsilon=1e-10,
                uncertainty_form="logit", uncertainty_init=0.5, uncertainty_learning_rate=10.0,
                uncertainty_momentum=0.0, gamma=0.01, center_rows="main_and_neighbors",
                center_rate=0.5, separation_kernel="unordered", separation_in_loss=False,
                separation_weight=0.1, erase_probability=0.5, erase_area=(0.02, 0.3),
                erase_aspect=(0.3, 1 / 0.3), class_weights="none",
            ),
        ),
        (
            "released_raf_resnet18",
            dict(image_size=224, pad=8, backbone="resnet18", learning_rate=1e-3,
                 decay_epochs=(10, 20, 40), decay_factor=0.1, epochs=60),
        ),
        (
            "released_affectnet_resnet18",
            dict(image_size=224, pad=8, backbone="resnet18", learning_rate=3e-4,
                 decay_epochs=(5, 10, 20), decay_factor=0.2, uncertainty_init=0.8,
                 uncertainty_momentum=0.9, class_weights="balanced", epochs=60),
        ),
    ],
)  # fmt: skip
def test_preset(preset, expected):
    found = settings(preset)
    assert {name: found[name] for name in expected} == expected


def test_names_are_unique_across_groups():
    names = [f.name for group in dataclasses.fields(Config) for f in dataclasses.fields(group.type)]
    assert len(names) == len(set(names)) > 40


def test_every_setting_has_help():
    for group in dataclasses.fields(Config):
        for setting in dataclasses.fields(group.type):
            assert setting.metadata["help"].endswith("."), setting.name


@pytest.mark.parametrize("preset", PRESETS)
def test_json_round_trip(preset):
    assert Config.from_json(PRESETS[preset].to_json()) == PRESETS[preset]


def test_unknown_names_and_choices_are_refused():
    with pytest.raises(ValueError, match="no setting 'lamda'"):
        Config().replace(lamda=1)
    with pytest.raises(ValueError, match="gaussian, laplace"):
        Config().replace(similarity_kernel="cosine")


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
    assert preset.method.calibration_floor == -1.3
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
    for group in dataclasses.fields(Config):
        for setting in dataclasses.fields(group.type):
            assert f"]{setting.name}:" in done.stdout or f"--{setting.name}:" in done.stdout
    assert "released_raf_resnet50: 0.01" in " ".join(done.stdout.split())


def test_a_deeply_nested_configuration_is_refused():
    with pytest.raises(ValueError, match="nested"):
        Config.from_json("[" * 100_000)
