"""The demo from end to end, with fewer faces and one epoch."""

import functools
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from ldl_fer import demo


@pytest.mark.slow
def test_demo_trains_both_and_leaves_what_it_names(tmp_path, monkeypatch):
    few = functools.partial(demo.draw_faces, train=120, test=40, progress=False)
    monkeypatch.setattr(demo, "draw_faces", few)
    report = demo.demo(tmp_path / "data", tmp_path / "checkpoints", demo.CONFIG.replace(epochs=1))
    assert "40 test faces, 30% of the training labels flipped" in report
    plain, ours = (
        re.search(rf"^{name} +(.*)$", report, re.M)[1] for name in ("cross-entropy", "LDLVA")
    )
    assert plain.split()[3] == "-" and 0.0 <= float(ours.split()[3]) <= 1.0  # AUC of flips
    picture, run, export = re.search(
        r"uncertainty: (\S+)\nRun folder: (\S+) +export: (\S+)\n", report
    ).groups()
    width, height = tf.io.decode_image(tf.io.read_file(picture)).shape[1::-1]
    assert width > 200 and height > 200
    assert run == str(tmp_path / "checkpoints/demo")
    assert "serving_bytes" in tf.saved_model.load(export).signatures
    assert (tmp_path / "checkpoints/demo_cross_entropy/result.json").exists()


def test_flips_are_found_and_pictured_by_lambda(tmp_path, monkeypatch):
    """Two flipped faces of four, ranked above the others by lambda but for one pair."""
    samples = pd.DataFrame(
        {
            "subDirectory_filePath": [f"{i}.png" for i in range(4)],
            "expression": [0, 1, 2, 3],
            "clean_expression": [0, 6, 2, 4],
            "uncertainty": [0.1, 0.9, 0.5, 0.3],
        }
    )
    run = SimpleNamespace(samples=samples, folder=tmp_path)
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros([8, 8, 3], np.uint8))
    # Pairs of a flipped and a kept face that lambda puts in order: 3 of 4.
    assert demo.flip_auc(run) == pytest.approx(0.75)
    drawn = []
    monkeypatch.setattr("ldl_fer.plots.save_figure", lambda figure, path: drawn.append(figure))
    monkeypatch.setattr(demo, "PICTURED", 2)
    assert demo.picture_uncertain(run, tmp_path) == tmp_path / "highest_uncertainty.png"
    assert [axes.get_title() for axes in drawn[0].axes] == [
        "Happy, $\\lambda$ 0.90\nflipped from Anger",
        "Sad, $\\lambda$ 0.50\nkept",
    ]
