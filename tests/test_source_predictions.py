"""From pictures and a video to files, counts and printed lines."""

import json

import numpy as np
import pandas as pd
import pytest
from color_model import CornerDetector, color_model, write_picture, write_video

from ldl_fer.errors import InputError
from ldl_fer.footage import find_sources
from ldl_fer.predictor import Predictor
from ldl_fer.source_predictions import check_outputs, predict_sources


def test_counts_and_outputs_agree(tmp_path, capsys):
    # (red value of the first pixel) // 10 faces a picture: 2, 0, and 3 in each of 4 frames.
    write_picture(tmp_path / "in" / "a.png", (20, 200, 0))
    write_picture(tmp_path / "in" / "b.png", (0, 0, 90))
    (tmp_path / "in" / "c.png").write_bytes(b"nonsense")
    write_video(tmp_path / "in" / "v.avi", [(35, 36, 34)] * 8)
    outputs = [tmp_path / "p.jsonl", tmp_path / "p.csv"]
    predictor = Predictor(color_model(1.0), CornerDetector(), batch_size=4)
    counts = predict_sources(
        predictor, find_sources([tmp_path / "in"]), outputs, tmp_path / "drawn", every=2,
        print_faces=True, progress=False,
    )  # fmt: skip
    wanted = {"shots": 6, "faces": 14, "ambiguous": 12, "without_face": 1, "unreadable": 1}
    assert counts == wanted  # the frames are gray: every color a third
    lines = [json.loads(line) for line in outputs[0].read_text("utf-8").splitlines()]
    assert [len(line["faces"]) for line in lines] == [2, 0, 0, 3, 3, 3, 3]
    assert [line["frame"] for line in lines[3:]] == [0, 2, 4, 6]
    np.testing.assert_allclose([line["seconds"] for line in lines[3:]], [0, 0.2, 0.4, 0.6])
    assert len(pd.read_csv(outputs[1])) == 14 + 2
    shown = capsys.readouterr()
    assert "c.png: not a picture" in shown.err and "a.png: Grün (Grün 91%" in shown.out
    assert "b.png: no face" in shown.out and "v.avi 0.60 s" in shown.out
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == ["a.png", "b.png", "v.mp4"]


def test_outputs_are_checked_first(tmp_path):
    sources = find_sources([write_picture(tmp_path / "a.png", 0)])
    for output in ("p.txt", "p"):
        with pytest.raises(InputError, match="must end in .jsonl or .csv"):
            predict_sources(Predictor(color_model()), sources, [tmp_path / output])


def test_one_output_named_twice_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    same = [tmp_path / "p.csv", tmp_path / "folder" / ".." / "p.csv"]
    with pytest.raises(InputError, match="p.csv is named twice"):
        check_outputs(same, [])
    check_outputs([tmp_path / "p.csv", tmp_path / "p.jsonl"], [])
