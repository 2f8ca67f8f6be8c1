"""The command: from pictures and a video to files, on an exported network."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from color_model import CLASS_NAMES, CornerDetector, color_model, write_picture, write_video

from ldl_fer.errors import InputError
from ldl_fer.footage import find_sources
from ldl_fer.predict import predict_sources
from ldl_fer.predictor import Predictor


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


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    from ldl_fer.backbones import build_network
    from ldl_fer.config import Config
    from ldl_fer.export import export_saved_model

    folder = tmp_path_factory.mktemp("export") / "saved_model"
    network = build_network(Config().replace(backbone="small_cnn").network, 32, 3, seed=4)
    return export_saved_model(network, folder, CLASS_NAMES, 32, {"temperature": 1.5})


def run(*arguments):
    command = [sys.executable, "-m", "ldl_fer.predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_command(export, tmp_path):
    pictures = [write_picture(tmp_path / f"{i}.png", (80 * i, 90, 40), 32, 32) for i in range(3)]
    (tmp_path / "noise.png").write_bytes(b"nonsense")
    done = run(
        *(
            f"--model={export}",
            *pictures,
            tmp_path / "noise.png",
            "--faces=whole",
            "--batch_size=2",
        ),
        *(f"--output={tmp_path / 'p.csv'}", f"--draw={tmp_path / 'drawn'}"),
    )
    assert done.returncode == 1  # a picture is none
    assert "noise.png: not a picture" in done.stderr
    assert "Temperature 1.500" in done.stdout and "3 faces" in done.stdout
    read = pd.read_csv(tmp_path / "p.csv")
    expected = Predictor(export, faces="whole")
    for picture, (_, row) in zip(pictures, read.iterrows(), strict=False):
        (face,) = expected(picture)
        for name, probability in face.distribution.items():
            assert row[f"probability_{name}"] == pytest.approx(probability, abs=1e-5)
        assert row.entropy == pytest.approx(face.entropy, abs=1e-5)
    assert cv2.imread(str(tmp_path / "drawn" / "0.png")).shape[0] == 360


def test_command_tells_mistakes(export, tmp_path):
    picture = write_picture(tmp_path / "in" / "a.png", 0)
    for arguments, message in (
        ([export], "say a model and at least one picture"),
        ([tmp_path, picture], "is no model"),
        ([export, tmp_path / "lost.png"], f"no file or folder {tmp_path}/lost.png"),
        ([export, picture, f"--output={picture}/p.csv"], "is no folder that can be written to"),
        ([export, tmp_path / "in", f"--draw={tmp_path / 'in' / 'drawn'}"], "lies in the input"),
    ):
        done = run(*arguments)
        assert done.returncode == 2 and message in done.stderr
        assert "Traceback" not in done.stderr
