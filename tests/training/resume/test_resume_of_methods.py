"""A training of any method, stopped within an epoch, ends as if it had not been: to the bit."""

import shutil

import pytest
import tensorflow as tf
from helpers.killed_training import STEPS, config_of, differences, place

from ldl_fer.config.methods import METHOD_SETTINGS
from ldl_fer.training.train import train

SETTINGS = {
    "scn": dict(scn_relabel_epoch=1, scn_relabel_margin=0.0),
    "dmue": dict(batch_size=14),
    "ldt": dict(ldt_teacher="whole"),
}
METHODS = [
    dict(neighbors="forward"),
    *(dict(method="cross_entropy", sampling=name) for name in ("balanced", "progressive")),
    *(
        dict(method=name, **SETTINGS.get(name, {}))
        for name in METHOD_SETTINGS
        if name not in ("ldlva", "label_smoothing")  # the latter keeps what cross_entropy keeps
    ),
    dict(method="ltnet", ltnet_machine_runs="whole"),
    dict(method="nal", nal_channel="complex"),
    dict(method="ldl_alsg", alsg_graph="training_set"),
]


class CopyAt(tf.keras.callbacks.Callback):
    """Copies the run folder at the `count`-th beginning of a training batch, as a kill leaves it.

    That is after the checkpoint of the batch before.
    """

    def __init__(self, count, run_dir, copy):
        super().__init__()
        self.count, self.run_dir, self.copy = count, run_dir, copy

    def on_train_batch_begin(self, batch, logs=None):
        self.count -= 1
        if self.count == 0:
            shutil.copytree(self.run_dir, self.copy)


@pytest.mark.slow
@pytest.mark.parametrize("settings", METHODS, ids=str)
def test_every_method_goes_on_within_an_epoch(folder, tmp_path, settings, request):
    if "whole" in settings.values():
        run = str(request.getfixturevalue("whole"))
        runs = {"ldt_teacher": run, "ltnet_machine_runs": (run,)}
        settings = {name: runs.get(name, value) for name, value in settings.items()}

    def config(name):
        return config_of(folder, "unused", run_dir=str(tmp_path / name), **settings)

    train(config("whole"), watch=CopyAt(STEPS + 3, tmp_path / "whole", tmp_path / "parts"))
    assert place(tmp_path / "parts") == [1, 2]
    train(config("parts"), resume=True, watch=tf.keras.callbacks.Callback())
    assert differences(tmp_path / "whole", tmp_path / "parts") == []
