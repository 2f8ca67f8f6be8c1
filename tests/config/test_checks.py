"""Values of settings out of range or of the wrong kind are refused by name."""

import pytest

from ldl_fer.config import GROUPS, Config, fields
from ldl_fer.config.checks import check_setting, checkpoint_interval
from ldl_fer.errors import InputError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("epochs", -1),
        ("delta", 0.0),
        ("gamma", -0.1),
        ("fixed_uncertainty", 1.5),
        ("erase_area", (0.1, 2.0)),
        ("decay_epochs", (3, -1)),
        ("seed", -1),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        Config().replace(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("erase_area", ()),
        ("erase_area", (0.3, 0.1)),
        ("erase_aspect", (0.0, 1.0)),
        ("gamma", 10**400),
        ("gamma", float("nan")),
        ("epochs", True),
        ("epochs", 2.0),
        ("class_names", ("Calm",)),
        ("class_names", ("Calm", "Calm")),
        ("class_names", ("Calm", "Glad", "calm")),  # both would fill the column votes_calm
        ("run_dir", "a\0b"),
        ("flip", "yes"),
    ],
)
def test_settings_of_the_wrong_kind_are_named(name, value):
    with pytest.raises(InputError, match=name):
        Config().replace(**{name: value})


@pytest.mark.parametrize("name", ["delta", "gamma", "dropout", "calibration_floor"])
def test_none_has_no_range(name):
    [rules] = [f[name].metadata for f in map(fields, GROUPS) if name in f]
    check_setting(name, None, float | None, checks=rules["checks"])
    with pytest.raises(InputError, match=f"{name} is a finite number, not None"):
        check_setting(name, None, float)


@pytest.mark.parametrize("value", [-0.1, 1.1, 5.0])
def test_lambda_itself_starts_within_0_and_1(value):
    with pytest.raises(InputError, match="uncertainty_init .* direct .* or uncertainty_form logit"):
        Config().replace(uncertainty_init=value)
    logit = Config().replace(uncertainty_init=value, uncertainty_form="logit")
    assert logit.ldlva.uncertainty_init == value
    with pytest.raises(InputError, match="uncertainty_init"):
        logit.replace(uncertainty_form="direct")


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_lambda_may_start_at_either_end(value):
    assert Config().replace(uncertainty_init=value).ldlva.uncertainty_init == value


@pytest.mark.parametrize(
    ("text", "steps", "minutes"),
    [
        ("500", 500, 0),
        ("10m", 0, 10),
        ("0.5m", 0, 0.5),
        ("500,10m", 500, 10),
        ("10m, 500", 500, 10),
        ("0", 0, 0),
    ],
)
def test_interval_of_checkpoints(text, steps, minutes):
    assert checkpoint_interval("checkpoint_every", text) == (steps, minutes)


@pytest.mark.parametrize(
    "text",
    ["", "abc", "abc,5m", "5m,abc", "5m,10m", "500,600", "500,", "-1,5m", "-5m,1", "nanm", "infm"],
)
def test_intervals_that_say_two_things_or_none_are_refused(text):
    with pytest.raises(InputError, match="checkpoint_every is .*500,10m; not"):
        Config().replace(checkpoint_every=text)
