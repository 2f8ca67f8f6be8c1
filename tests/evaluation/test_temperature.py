"""The temperature of a run: fitted on what it held out, kept in its folder, read back."""

import json
import math

import numpy as np
import pytest
from helpers.called import call
from helpers.made_up_set import CLASS_NAMES, make_set
from scipy.special import softmax

from ldl_fer.errors import InputError
from ldl_fer.evaluation import temperature
from ldl_fer.evaluation.temperature import confidence_quality, entropy, fit, scaled


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that was never trained, its run holding out 20 of 60 samples."""
    from ldl_fer.config import Config
    from ldl_fer.networks.network import build_network
    from ldl_fer.training.run import Run

    folder = tmp_path_factory.mktemp("temperature")
    make_set(folder, 60, size=32).write(folder / "train.csv")
    config = Config().replace(
        train_data_path=str(folder / "train.csv"),
        train_image_dir=str(folder / "images"),
        records_dir=str(folder / "records"),
        validation_fraction=1 / 3,
        class_names=CLASS_NAMES,
        image_size=32,
        backbone="small_cnn",
        num_neighbors=2,
    )
    run = Run(folder / "run")
    run.begin(config)
    network = build_network(config.network, 32, 3, seed=3)
    network.layers[-1].set_weights([w * 40 for w in network.layers[-1].get_weights()])
    network.save_weights(run.weights("best"))
    run.epoch_file("best").write_text('{"epoch": 1}')
    return run


def test_fit_run_takes_what_the_run_held_out(run):
    from ldl_fer.evaluation.trained_model import load_model

    assert load_model(run.folder).temperature is None
    found = temperature.fit_run(run.folder, progress=False)
    assert found == json.loads((run.folder / "temperature.json").read_text())
    assert (found["rows"], found["held_out_part"], found["best"]) == (20, True, {"epoch": 1})
    assert found["after"]["nll"] < found["before"]["nll"]
    assert len(list((run.folder.parent / "records").iterdir())) == 1  # the training set stays shut
    loaded = load_model(run.folder)
    assert (loaded.temperature, loaded.notes) == (found["temperature"], ())
    run.epoch_file("best").write_text('{"epoch": 2}')
    assert "fitted for another epoch" in load_model(run.folder).notes[0]
    run.epoch_file("best").write_text('{"epoch": 1}')


def test_a_few_rows_are_refused(run):
    folder = run.folder.parent
    lines = (folder / "train.csv").read_text().splitlines()
    (folder / "few.csv").write_text("\n".join(lines[:10]))
    with pytest.raises(InputError, match="few.csv: 9 images to fit a temperature on, where 10"):
        temperature.fit_run(run.folder, str(folder / "few.csv"), str(folder / "images"), False)


@pytest.mark.parametrize(("rows", "warned"), [(49, True), (50, False)])
def test_some_rows_are_warned_of(run, monkeypatch, capsys, rows, warned):
    from absl import flags

    from ldl_fer.evaluation import temperature_command

    quality = {"nll": 1.0, "expected_calibration_error": 0.1}
    found = {"rows": rows, "data_path": "val.csv", "held_out_part": False, "temperature": 1.5}
    found |= {"before": quality, "after": quality}
    monkeypatch.setattr(temperature, "fit_run", lambda *_, **__: found)
    given = flags.FlagValues()
    for name, value in (("run_dir", str(run.folder)), ("val_data_path", ""), ("val_image_dir", "")):
        flags.DEFINE_string(name, value, "", flag_values=given)
    flags.DEFINE_bool("trust_model", False, "", flag_values=given)
    monkeypatch.setattr(flags, "FLAGS", given)
    given(["temperature"])
    temperature_command.main()
    assert (f"warning: {rows} images are few" in capsys.readouterr().out) == warned


@pytest.mark.slow
def test_command_on_a_set_of_its_own(run):
    folder = run.folder.parent
    given = [f"--val_data_path={folder / 'train.csv'}", f"--val_image_dir={folder / 'images'}"]
    done = call("temperature", f"--run_dir={run.folder}", *given)
    assert done.returncode == 0, done.stderr
    found = json.loads((run.folder / "temperature.json").read_text())
    assert (found["rows"], found["held_out_part"]) == (60, False)
    assert "60 validation images" in done.stdout
    assert f"{found['before']['nll']:.4f}" in done.stdout
    assert f"{found['after']['nll']:.4f}" in done.stdout


def test_read_temperature(tmp_path):
    file = tmp_path / "info.json"
    assert temperature.read_temperature(file) is None
    file.write_text('{"backbone": "small_cnn"}')
    assert temperature.read_temperature(file) is None
    file.write_text('{"temperature": 1.5}')
    assert temperature.read_temperature(file) == 1.5
    for damaged in ('{"temperature": -1}', '{"temperature": "warm"}', "[1]", "{"):
        file.write_text(damaged)
        with pytest.raises(InputError, match="Write it again"):
            temperature.read_temperature(file)


def test_scaled_is_softmax_of_divided_logits():
    # softmax(log p / 2) = sqrt(p) / sum sqrt(p): sqrt(0.8) / (sqrt(0.8) + sqrt(0.2)) = 2 / 3
    np.testing.assert_allclose(scaled(np.array([[0.8, 0.2]]), 2.0), [[2 / 3, 1 / 3]])
    logits = np.random.default_rng(0).normal(0, 3, [50, 7])
    found = scaled(softmax(logits, axis=1), 0.7)
    np.testing.assert_allclose(found, softmax(logits / 0.7, axis=1), atol=1e-12)
    # A probability that float32 could not hold stays the smallest, and nothing is infinite.
    assert np.isfinite(scaled(np.array([[1.0, 0.0]]), 5.0)).all()
    with pytest.raises(ValueError, match="above 0, not 0"):
        scaled(softmax(logits, axis=1), 0.0)


def test_entropy_in_nats():
    found = entropy(np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]]))
    np.testing.assert_allclose(found, [math.log(4), 0.0, math.log(2)])


@pytest.mark.parametrize("true", [0.5, 2.5])
def test_fit_finds_the_temperature_labels_were_drawn_at(true):
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, [20000, 5])
    drawn_from = softmax(logits / true, axis=1)
    labels = (random.random([20000, 1]) > drawn_from.cumsum(axis=1)).sum(axis=1)
    probabilities = softmax(logits, axis=1)
    found = fit(labels, probabilities)
    assert found == pytest.approx(true, rel=0.03)

    def loss(t):
        return confidence_quality(labels, scaled(probabilities, t))["nll"]

    assert loss(found) < min(loss(0.99 * found), loss(1.01 * found))  # a minimum
    before = confidence_quality(labels, probabilities)["expected_calibration_error"]
    after = confidence_quality(labels, scaled(probabilities, found))
    assert after["expected_calibration_error"] < 0.015 < 0.05 < before
