"""Outputs can be read back, and are there whole or not at all."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.color_model import (
    CLASS_NAMES,
    CornerDetector,
    color_model,
    plain,
    write_picture,
    write_video,
)

from ldl_fer.errors import InputError
from ldl_fer.inference.predict.face import judge
from ldl_fer.inference.predict.outputs import (
    check_outputs,
    drawing_paths,
    drawings,
    json_lines,
    predict_sources,
    table,
)
from ldl_fer.inference.predict.predictor import Answer, Predictor
from ldl_fer.inference.predict.sources import find_sources, frames


def face(box=(1, 2, 30, 40), **known):
    return judge(np.array([0.1, 0.7, 0.2]), CLASS_NAMES, box=box, **known)


def answers(folder):
    """Of a picture with two faces, one without any, one that cannot be read, and a video."""
    for name in ("two.png", "none.png"):
        write_picture(folder / name, (9, 9, 9))
    (folder / "lost.png").touch()
    sources = find_sources([folder / "two.png", folder / "none.png", folder / "lost.png"])
    two, none, lost = (Answer(frame) for frame in frames(sources))
    landmarks = np.arange(10, dtype=np.float32).reshape(5, 2)
    two.faces = [face(score=0.9, landmarks=landmarks, valence=0.5, arousal=-0.25), face()]
    two.size = none.size = (16, 16)
    lost.error = "No such file or directory"
    return [two, none, lost]


def test_json_lines(tmp_path):
    with json_lines(tmp_path / "out" / "p.jsonl") as take:
        for answer in answers(tmp_path):
            take(answer)
    two, none, lost = map(
        json.loads, (tmp_path / "out" / "p.jsonl").read_text("utf-8").splitlines()
    )
    assert two["file"] == str(tmp_path / "two.png") and (two["width"], two["error"]) == (16, "")
    first, second = two["faces"]
    assert first["distribution"] == {"Red": 0.1, "Grün": 0.7, "Blue": 0.2}
    assert first["box"] == [1, 2, 30, 40] and first["landmarks"][4] == [8.0, 9.0]
    assert (first["valence"], first["arousal"], second["valence"]) == (0.5, -0.25, None)
    assert (first["leading"], first["ambiguous"], first["doubts"]) == ("Grün", False, [])
    assert (none["faces"], none["error"]) == ([], "")
    assert (lost["faces"], lost["error"]) == ([], "No such file or directory")


def test_csv(tmp_path):
    with table(tmp_path / "p.csv", CLASS_NAMES) as take:
        for answer in answers(tmp_path):
            take(answer)
    read = pd.read_csv(tmp_path / "p.csv")
    assert read.faces.tolist() == [2, 2, 0, 0] and read.face.tolist()[:2] == [0, 1]
    assert read["probability_Grün"].tolist()[:2] == [0.7, 0.7]
    assert read.loc[0, ["x", "y", "box_width", "box_height"]].tolist() == [1, 2, 30, 40]
    assert read.leading.isna().tolist() == [False, False, True, True]
    assert read.error.isna().tolist() == [True, True, True, False]


@pytest.mark.parametrize("writer", [json_lines, lambda path: table(path, CLASS_NAMES)])
def test_interrupted_leaves_what_was_there(tmp_path, writer):
    path = tmp_path / "p.csv"
    path.write_text("earlier")
    with pytest.raises(KeyboardInterrupt), writer(path) as take:
        take(answers(tmp_path)[0])
        raise KeyboardInterrupt
    assert path.read_text() == "earlier"
    assert not list(tmp_path.glob(".p*"))


def test_drawings_of_pictures_and_videos(tmp_path):
    write_picture(tmp_path / "in" / "a.png", (0, 0, 0), 400, 500)
    for name in ("v.mp4", "w.avi"):
        write_video(tmp_path / "in" / name, [(0, 0, 0)] * 9, size=(500, 400))
    sources = find_sources([tmp_path / "in"])
    targets = drawing_paths(sources, tmp_path / "out")
    with drawings(targets, whole=False, every=2) as draw:
        for frame in frames(sources, every=2):
            draw(Answer(frame, frame.load(), faces=[face((100, 100, 200, 200))]))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "v.mp4", "w.mp4"]
    assert cv2.imread(str(tmp_path / "out" / "a.png"))[100, 150].max() > 100  # the box
    for name in ("v.mp4", "w.mp4"):
        video = cv2.VideoCapture(str(tmp_path / "out" / name))
        assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(5.0)  # 10 a second, every 2nd
        read_back = []
        while (read := video.read())[0]:
            read_back.append(read[1])
        assert len(read_back) == 5 and all(frame[100, 150].max() > 100 for frame in read_back)


def test_an_interrupted_video_is_not_left(tmp_path):
    (source,) = find_sources([write_video(tmp_path / "v.mp4", [(0, 0, 0)])])
    (frame,) = frames([source])
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), drawings({source: folder / "v.mp4"}, False, 1) as draw:
        draw(Answer(frame, plain(0, 400, 500)))
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


def test_drawings_have_names_of_their_own(tmp_path):
    for name in ("a.png", "a.bmp", "sub/a.png", "v.avi"):
        write_picture(tmp_path / name, 0) if name[-3:] != "avi" else write_video(
            tmp_path / name, [0]
        )
    sources = find_sources(
        [tmp_path / "a.png", tmp_path / "a.bmp", tmp_path / "sub/a.png", tmp_path]
    )
    found = drawing_paths(sources, tmp_path / "out").values()
    names = [path.relative_to(tmp_path / "out").as_posix() for path in found]
    assert names == ["a.png", "a_2.png", "a_3.png", "v.mp4"]
    with pytest.raises(InputError, match="would be replaced"):
        drawing_paths(sources, tmp_path)


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
    wanted = {"frames": 6, "faces": 14, "ambiguous": 12, "without_face": 1, "unreadable": 1}
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
