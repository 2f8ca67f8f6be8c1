"""The demo from end to end, with fewer faces and one epoch."""

import functools
import re

import pytest
import tensorflow as tf

from ldl_fer import demo


@pytest.mark.slow
def test_demo_trains_both_and_leaves_what_it_names(tmp_path, monkeypatch):
    few = functools.partial(demo.draw_faces, train=120, test=40, progress=False)
    monkeypatch.setattr(demo, "draw_faces", few)
    told = demo.demo(tmp_path / "data", tmp_path / "checkpoints", demo.CONFIG.replace(epochs=1))
    assert "40 test faces, 30% of the training labels flipped" in told
    plain, ours = (
        re.search(rf"^{name} +(.*)$", told, re.M)[1] for name in ("cross-entropy", "LDLVA")
    )
    assert plain.split()[3] == "-" and 0.0 <= float(ours.split()[3]) <= 1.0  # AUC of flips
    picture, run, export = re.search(
        r"uncertainty: (\S+)\nRun folder: (\S+) +export: (\S+)\n", told
    ).groups()
    width, height = tf.io.decode_image(tf.io.read_file(picture)).shape[1::-1]
    assert width > 200 and height > 200
    assert run == str(tmp_path / "checkpoints/demo")
    assert "serving_bytes" in tf.saved_model.load(export).signatures
    assert (tmp_path / "checkpoints/demo_cross_entropy/result.json").exists()
