"""What is said of two sets before a training on them, and of pictures that are evaluated on."""

from types import SimpleNamespace

import pandas as pd
import pytest

from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.paths import places
from ldl_fer.errors import InputError
from ldl_fer.evaluation.evaluate import _trained_on
from ldl_fer.training.checks import check_seed, doubts
from ldl_fer.training.run import Run

NAMES = ("Calm", "Glad", "Sad")


def records(counts, paths):
    return SimpleNamespace(class_counts=counts, pictures=lambda folder: places(folder, paths))


def said(training, validation, **settings):
    config = Config().replace(class_names=NAMES, train_image_dir="a", val_image_dir="a", **settings)
    return doubts(config, training, validation)


ONE, TWO = records((2, 1, 1), ["1.png", "x/2.png"]), records((1, 1, 1), ["3.png", "x/4.png"])


def test_a_run_goes_on_with_its_own_seed(tmp_path):
    config = PRESETS["small"].replace(run_dir=str(tmp_path), seed=3)
    run, fresh, begun = Run(tmp_path), SimpleNamespace(step=0), SimpleNamespace(step=9)
    check_seed(config, run, fresh)
    run.begin(config)
    check_seed(config, run, begun)
    other = config.replace(seed=4)
    check_seed(other, run, fresh)
    with pytest.raises(InputError, match="begun with --seed=3"):
        check_seed(other, run, begun)


def test_nothing_is_said_of_sound_sets():
    assert said(ONE, TWO, val_data_path="v.csv") == []
    assert said(ONE, ONE) == []  # a part of the training CSV has been held out


def test_classes_that_are_absent():
    (text,) = said(records((2, 0, 1), ["1.png"]), records((1, 0, 1), ["2.png"]))
    assert "no training picture is of Glad" in text and "--class_names" in text
    text, other = said(records((2, 0, 1), ["1.png"]), records((1, 1, 0), ["2.png"]))
    assert "no training picture is of Glad" in text
    assert "no validation picture is of Sad" in other


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["1.png", "x/2.png"], "all 2 validation pictures are training pictures"),
        (["./x//2.png"], "all 1 validation pictures"),
        (["1.png", "5.png", "6.png"], "1 of 3 validation pictures are training pictures"),
    ],
)
def test_validation_pictures_that_are_training_pictures(paths, words):
    (text,) = said(ONE, records((1, 1, 1), paths), val_data_path="v.csv")
    assert words in text and "--val_data_path" in text and "held out" in text
    (text,) = said(ONE, records((1, 1, 1), paths), val_data_path="v.csv", select_on_test=True)
    assert words.replace("validation", "test") in text and "held out" not in text


def test_one_folder_by_two_names(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert places(tmp_path / "a", ["1.png"]) == places(tmp_path / "b/../b", ["./1.png"])
    assert not places(tmp_path / "a", ["1.png"]) & places(tmp_path, ["1.png"])


def test_pictures_that_a_run_was_trained_on(tmp_path):
    run, config = SimpleNamespace(samples_file=tmp_path / "samples.csv"), Config()
    config = config.replace(train_image_dir=str(tmp_path))
    assert _trained_on(run, config, places(tmp_path, ["a.png"])) == 0  # there is no samples.csv
    table = pd.DataFrame({"subDirectory_filePath": ["a.png", "b.png"], "expression": [0, 1]})
    table.to_csv(run.samples_file, index=False)
    assert _trained_on(run, config, places(tmp_path, ["a.png", "c.png"])) == 1
    assert _trained_on(run, config, places(tmp_path / "other", ["a.png"])) == 0
