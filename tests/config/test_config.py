"""Presets are the paper's and the released code's, as docs/paper_and_released_code.md has them."""

import json
from pathlib import Path

import pytest

from ldl_fer.config import GROUPS, Config, fields
from ldl_fer.config.presets import PRESETS
from ldl_fer.errors import InputError


def settings(preset):
    config = PRESETS[preset]
    return {name: getattr(config.group(group), name) for group in GROUPS for name in fields(group)}


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
        (
            "ferplus_resnet18",
            dict(image_size=112, pad=4, backbone="resnet18", learning_rate=1e-3, epochs=30,
                 decay_epochs=(5, 10, 20), class_weights="balanced", uncertainty_init=0.5,
                 neighbors="forward", uncertainty_form="logit"),
        ),
        (
            "sfew_resnet18",
            dict(image_size=224, pad=8, backbone="resnet18", learning_rate=1e-4, epochs=60,
                 decay_epochs=(20, 40), class_weights="balanced", uncertainty_init=0.5,
                 neighbors="forward", uncertainty_form="logit"),
        ),
    ],
)  # fmt: skip
def test_preset(preset, expected):
    found = settings(preset)
    assert {name: found[name] for name in expected} == expected


def test_names_are_unique_across_groups():
    names = [name for group in GROUPS for name in fields(group)]
    assert len(names) == len(set(names)) > 40
    assert not set(names) & set(GROUPS)  # old files have groups where new ones have settings


def test_every_setting_has_help():
    for group in GROUPS:
        for name, setting in fields(group).items():
            assert setting.metadata["help"].endswith("."), name


@pytest.mark.parametrize("preset", PRESETS)
def test_json_round_trip(preset):
    assert Config.from_json(PRESETS[preset].to_json()) == PRESETS[preset]


def test_files_of_earlier_versions_are_read():
    old = {
        "data": {"image_size": 48, "class_names": ["Calm", "Glad"]},
        "method": {"delta": 0.25, "class_weights": "balanced", "neighbors": "forward"},
        "comparator": {"method": "scn", "smoothing": 0.2, "scn_margin": 0.3},
        "optimizer": {"uncertainty_learning_rate": 2.5, "uncertainty_momentum": 0.5},
    }
    assert Config.from_json(json.dumps(old)) == Config().replace(
        image_size=48,
        class_names=("Calm", "Glad"),
        delta=0.25,
        class_weights="balanced",
        neighbors="forward",
        method="scn",
        smoothing=0.2,
        scn_margin=0.3,
        uncertainty_learning_rate=2.5,
        uncertainty_momentum=0.5,
    )


def test_new_files_name_the_method_first():
    assert next(iter(json.loads(Config().replace(method="scn").to_json()).items())) == (
        *("method", "scn"),
    )


@pytest.mark.parametrize("text", ["[]", "3", '{"data": 3}', '{"gamma": 0.5}', '{"method": [1]}'])
def test_what_is_no_object_of_groups_is_refused(text):
    with pytest.raises(ValueError):
        Config.from_json(text)


def test_unknown_names_and_choices_are_refused():
    with pytest.raises(ValueError, match="calibration_units is two numbers"):
        Config().replace(calibration_units=(512, 256, 128))
    with pytest.raises(ValueError, match="no setting 'lamda'"):
        Config().replace(lamda=1)
    with pytest.raises(ValueError, match="gaussian, laplace"):
        Config().replace(similarity_kernel="cosine")


def test_a_deeply_nested_configuration_is_refused():
    with pytest.raises(ValueError, match="nested"):
        Config.from_json("[" * 100_000)


def test_a_preset_takes_settings_by_the_names_of_flags():
    config = Config.preset("small", train_data_path=Path("a") / "t.csv", decay_epochs=[3, 4])
    assert (config.data.train_data_path, config.optimizer.decay_epochs) == ("a/t.csv", (3, 4))
    assert config == PRESETS["small"].replace(train_data_path="a/t.csv", decay_epochs=(3, 4))
    assert Config.preset() == PRESETS["paper"]
    soft = Config.preset(method="mek")  # what the method's paper sets comes along, as by --method
    assert soft.augmentation != Config().augmentation and soft.method == "mek"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Config.preset("smal"), "no preset 'smal'; did you mean 'small'?"),
        (lambda: Config.preset("x"), "no preset 'x': it is one of paper, "),
        (
            lambda: Config().replace(batch_siz=3),
            "no setting 'batch_siz'; did you mean 'batch_size'?",
        ),
        (lambda: Config().replace(qqqq=3), "no setting 'qqqq'"),
        (lambda: Config.preset("small", epochs=Path("3")), "epochs is a whole number"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(make, said):
    with pytest.raises(InputError) as raised:
        make()
    assert said in str(raised.value)


def test_a_configuration_shows_what_is_not_the_papers():
    config = Config().replace(epochs=3, class_names=("Calm", "Glad"))
    assert repr(config) == "Config().replace(class_names=('Calm', 'Glad'), epochs=3)"
    assert eval(repr(config)) == config and repr(Config()) == "Config()"
    table = Config.preset("small").table
    assert table.loc["image_size", ["value", "group"]].tolist() == [48, "data"]
    assert "gamma" in table.index and "scn_margin" not in table.index
    assert table.loc["method", "value"] == "ldlva" and table["help"].str.len().min() > 10
