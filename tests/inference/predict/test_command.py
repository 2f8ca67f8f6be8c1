"""The command: from pictures to files, on an exported network."""

import cv2
import pandas as pd
import pytest
from helpers.called import call
from helpers.color_model import CLASS_NAMES, write_picture

from ldl_fer.inference.predict.predictor import Predictor


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    from ldl_fer.config import Config
    from ldl_fer.inference.export import export_saved_model
    from ldl_fer.networks.network import build_network

    folder = tmp_path_factory.mktemp("export") / "saved_model"
    network = build_network(Config().replace(backbone="small_cnn").network, 32, 3, seed=4)
    return export_saved_model(network, folder, CLASS_NAMES, 32, {"temperature": 1.5})


def run(*arguments):
    return call("predict", *arguments)


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


def test_command_names_mistakes(export, tmp_path):
    picture = write_picture(tmp_path / "in" / "a.png", 0)
    for arguments, message in (
        ([export], "say a model and at least one picture"),
        ([tmp_path, picture], "is no model"),
        ([export, tmp_path / "lost.png"], f"no file or folder {tmp_path}/lost.png"),
        ([export, picture, f"--output={picture}/p.csv"], "is no folder that can be written to"),
        ([export, picture, "--output=p.csv", "--output=p.csv"], "p.csv is named twice"),
        ([export, picture, "--faces=whole", "--detector=no.onnx"], "leave out --detector"),
        ([export, picture, "--faces=whole", "--longest_side=900"], "leave out --longest_side"),
        ([export, picture, "--min_score=0.3"], "--min_score is of YuNet's faces"),
        ([export, tmp_path / "in", f"--draw={tmp_path / 'in' / 'drawn'}"], "lies in the input"),
    ):
        done = run(*arguments)
        assert done.returncode == 2 and message in done.stderr
        assert "Traceback" not in done.stderr


def test_the_cure_of_no_face_is_named(export, tmp_path):
    picture = write_picture(tmp_path / "a.png", (80, 90, 40), 400, 300)
    done = run(export, picture, "--longest_side=300")
    assert done.returncode == 0, done.stderr
    assert "note: no face in some pictures." in done.stderr
    assert "--detector" in done.stderr and "--longest_side=300" in done.stderr
