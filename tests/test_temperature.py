"""The temperature of a run: fitted on what it held out, kept in its folder, read back."""

import json
import subprocess
import sys

import pytest
from made_up_set import CLASS_NAMES, make_set

from ldl_fer import temperature
from ldl_fer.errors import InputError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that was never trained, its run holding out 20 of 60 samples."""
    from ldl_fer.config import Config
    from ldl_fer.networks.network import build_network
    from ldl_fer.runs import Run

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
    from ldl_fer.trained_model import load_model

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


def test_command_on_a_set_of_its_own(run):
    folder = run.folder.parent
    command = [sys.executable, "-m", "ldl_fer", "temperature", f"--run_dir={run.folder}"]
    given = [f"--val_data_path={folder / 'train.csv'}", f"--val_image_dir={folder / 'images'}"]
    done = subprocess.run(command + given, capture_output=True, text=True)
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
