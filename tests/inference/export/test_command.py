"""The command: a run becomes an export that answers as its network does."""

import json

import numpy as np
import pytest
import tensorflow as tf
from helpers.called import call
from helpers.probabilities import live_probabilities

NAMES = ("Calm", "Glad", "Sad", "Überrascht")


@pytest.mark.slow
def test_command_exports_a_run(tmp_path):
    from ldl_fer.config import Config
    from ldl_fer.networks.network import build_network
    from ldl_fer.training.run import Run

    run = Run(tmp_path / "run")
    config = Config().replace(backbone="small_cnn", image_size=32, class_names=NAMES)
    run.begin(config)
    trained = build_network(config.network, 32, len(NAMES), seed=7)
    trained.save_weights(run.weights("best"))
    done = call("export", f"--run_dir={run.folder}")
    assert done.returncode == 0, done.stderr
    images = np.random.default_rng(0).integers(0, 256, [2, 32, 32, 3], dtype=np.uint8)
    signatures = tf.saved_model.load(str(run.saved_model)).signatures
    found = signatures["serving_images"](images=tf.constant(images))["probabilities"]
    np.testing.assert_allclose(found, live_probabilities(trained, images), rtol=0, atol=1e-5)
    info = json.loads((run.saved_model / "assets.extra" / "info.json").read_text())
    assert (info["backbone"], info["class_names"]) == ("small_cnn", list(NAMES))


def test_command_without_a_run_is_a_sentence(tmp_path):
    done = call("export", f"--run_dir={tmp_path / 'none'}")
    assert done.returncode == 2
    assert f"{tmp_path / 'none'} holds no run" in done.stderr
    assert "Traceback" not in done.stderr
