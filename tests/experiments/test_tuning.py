"""The best value of a method's scalar by validation, and other experiments that take it."""

import pandas as pd
import pytest

from ldl_fer.errors import InputError
from ldl_fer.experiments.tables import EXPERIMENTS
from ldl_fer.experiments.tuning import chosen, tuned

TUNING = EXPERIMENTS["tuning"]


def runs(*rows):
    names = ["method", "setting", "noise", "seed", "validation_accuracy"]
    return pd.DataFrame(rows, columns=names)


def test_the_highest_mean_of_clean_and_noisy_is_chosen():
    table = runs(
        *(("GCE", "gce_exponent 0.3", "none", 0, 0.8), ("GCE", "gce_exponent 0.3", "none", 1, 0.6)),
        ("GCE", "gce_exponent 0.3", "symmetric 0.3", 0, 0.5),
        *(("GCE", "gce_exponent 0.5", "none", 0, 0.6), ("GCE", "gce_exponent 0.5", "none", 1, 0.6)),
        ("GCE", "gce_exponent 0.5", "symmetric 0.3", 0, 0.59),
        ("GCE", "gce_exponent 0.7", "none", 0, 0.9),  # not run with noise yet
        ("mixup", "mixup_alpha 1", "none", 0, 0.7),
    )
    found = chosen(TUNING, table)
    assert found.to_dict("list") == {
        "method": ["gce", "mixup"],
        "setting": ["gce_exponent", "mixup_alpha"],
        "value": [0.3, 1.0],  # .7 and .5 against .6 and .59
    }


def test_other_experiments_take_the_chosen_settings(tmp_path):
    file = tmp_path / "chosen.csv"
    file.write_text(
        "method,setting,value\ngce,gce_exponent,0.3\ncross_entropy,learning_rate,0.003\n"
    )
    for name in ("noise", "votes"):
        before = {v.settings["method"]: v for v in EXPERIMENTS[name].variants}
        for variant in tuned(EXPERIMENTS[name], file).variants:
            method = variant.settings["method"]
            added = {"gce": {"gce_exponent": 0.3}, "cross_entropy": {"learning_rate": 0.003}}
            assert variant.settings == {**before[method].settings, **added.get(method, {})}
            assert variant.method == before[method].method and not variant.setting
    assert tuned(EXPERIMENTS["neighbors"], file) == EXPERIMENTS["neighbors"]
    file.write_text("method,setting,value\nldlva,uncertainty_learning_rate,2\n")
    before, after = (
        EXPERIMENTS["neighbors"].variants,
        tuned(EXPERIMENTS["neighbors"], file).variants,
    )
    for one, other in zip(before, after, strict=True):
        assert other.settings == {**one.settings, "uncertainty_learning_rate": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file.*experiments tuning"),
        ("a,b\n1,2\n", "chosen.csv: .*method.*columns method, setting, value"),
        ("method,setting,value\ngce,gce_exponent,0.3\nno,smoothing,0.1\n", "line 3: .*no"),
        ("method,setting,value\ngce,gce_power,0.3\n", "line 2: .*gce_power"),
        ("method,setting,value\ngce,gce_exponent,-1\n", "line 2: .*gce_exponent"),
        ("method,setting,value\ngce,gce_exponent,high\n", "line 2: .*gce_exponent"),
    ],
)
def test_another_file_is_refused(tmp_path, text, words):
    file = tmp_path / "chosen.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=words):
        tuned(EXPERIMENTS["noise"], file)
