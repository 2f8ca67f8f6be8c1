"""Outputs can be read back, and are there whole or not at all."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.color_model import (
    CLASS_NAMES,
    CornerDetector,
    color_model,
    plain,
    turn_video,
    write_picture,
    write_video,
)
from helpers.full_disk import files_of_at_most

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
from ldl_fer.inference.predict.predictor import Predictor
from ldl_fer.inference.predict.sources import find_sources, frames
from ldl_fer.inference.predict.stream import Answer


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


WRITERS = [json_lines, lambda path: table(path, CLASS_NAMES)]


@pytest.mark.parametrize("writer", WRITERS)
def test_what_was_done_is_in_the_file_at_once(tmp_path, writer):
    for name, count in (("whole", 3), ("part", 1)):
        with contextlib.suppress(KeyboardInterrupt), writer(tmp_path / name) as take:
            for answer in answers(tmp_path)[:count]:
                take(answer)
            begun = (tmp_path / name).read_text()
            raise KeyboardInterrupt
        assert (tmp_path / name).read_text() == begun
    whole = (tmp_path / "whole").read_text()
    assert whole.startswith(begun) and begun.endswith("\n") and "two.png" in begun


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_leaves_whole_rows(tmp_path, writer):
    path = tmp_path / "p"
    two, none, _ = answers(tmp_path)
    for _ in range(2):  # the second time, over an earlier file
        with writer(path) as take:
            take(none)
    whole = path.read_bytes()
    room = len(whole) + 40  # the next row fits in part
    text = f"cannot write {path}: File too large"
    with (
        files_of_at_most(room),
        pytest.raises(InputError, match=text),
        writer(path) as take,
    ):
        take(none)
        take(two)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("writer", WRITERS)
def test_one_file_has_one_writer(tmp_path, writer):
    two, none, _ = answers(tmp_path)
    with writer(tmp_path / "p") as take:
        take(two)
        begun = (tmp_path / "p").read_text()
        with (
            pytest.raises(InputError, match="another process writes .*p. Name another"),
            writer(tmp_path / "p") as other,
        ):
            other(none)
        assert (tmp_path / "p").read_text() == begun
    with writer(tmp_path / "p") as take:
        take(none)
    assert "two.png" not in (tmp_path / "p").read_text()


def test_names_that_are_no_unicode_are_escaped(tmp_path):
    (answer, *_) = answers(tmp_path)
    odd = dataclasses.replace(answer.frame.source, path=Path(os.fsdecode(b"Zo\xeb.png")))
    answer.item = dataclasses.replace(answer.frame, source=odd)
    for writer in WRITERS:
        with writer(tmp_path / "p") as take:
            take(answer)
        assert "Zo\\udceb.png" in (tmp_path / "p").read_text("utf-8")


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_file_of_another_origin_is_not_overwritten(tmp_path, name):
    path = tmp_path / name
    path.write_text("")  # as by mktemp
    check_outputs([path], [])
    with json_lines(path) if path.suffix == ".jsonl" else table(path, CLASS_NAMES) as take:
        take(answers(tmp_path)[0])
    check_outputs([path], [])
    path.write_text("subDirectory_filePath,expression\na.jpg,3\n")
    with pytest.raises(InputError, match=f"{name} is there, this command did not write it"):
        check_outputs([path], [])


def test_an_interrupted_work_says_what_it_has(tmp_path, capsys):
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "in" / f"{name}.png", (20, 200, 0))
    predictor = Predictor(color_model(1.0), CornerDetector(), batch_size=1)
    whole = predictor.stream

    def stream(*given, **named):
        answers = whole(*given, **named)
        yield next(answers)
        raise KeyboardInterrupt

    predictor.stream = stream
    output = tmp_path / "p.csv"
    with pytest.raises(KeyboardInterrupt):
        predict_sources(predictor, find_sources([tmp_path / "in"]), [output], progress=False)
    assert f"{output}: 1 of 3 pictures and frames" in capsys.readouterr().err
    assert pd.read_csv(output).file.tolist() == [str(tmp_path / "in/a.png")] * 2


def test_printing_ends_when_nobody_reads_it(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "in" / f"{name}.png", (20, 200, 0))
    monkeypatch.setattr("ldl_fer.inference.predict.outputs.unread", lambda: True)
    predictor = Predictor(color_model(1.0), CornerDetector(), batch_size=1)
    given = predictor, find_sources([tmp_path / "in"])
    assert predict_sources(*given, print_faces=True, progress=False)["frames"] == 1
    assert predict_sources(*given, [tmp_path / "p.csv"], progress=False)["frames"] == 3


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


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_videos_of_phones_are_drawn_upright(tmp_path, degrees):
    stored = plain((0, 0, 0), 400, 500)
    stored[:200, :250] = 250
    video = write_video(tmp_path / "v.mp4", [stored] * 3, size=(500, 400))
    (source,) = find_sources([turn_video(video, degrees)])
    with drawings({source: tmp_path / "drawn.mp4"}, whole=False, every=1) as draw:
        for frame in frames([source]):
            draw(Answer(frame, frame.load()))
    drawn = cv2.VideoCapture(str(tmp_path / "drawn.mp4")).read()[1]
    upright = np.rot90(stored, -degrees // 90)
    assert drawn.shape == upright.shape and np.abs(drawn.astype(int) - upright).mean() < 5


def test_an_interrupted_video_is_not_left(tmp_path):
    (source,) = find_sources([write_video(tmp_path / "v.mp4", [(0, 0, 0)])])
    (frame,) = frames([source])
    folder = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt), drawings({source: folder / "v.mp4"}, False, 1) as draw:
        draw(Answer(frame, plain(0, 400, 500)))
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("room", [0, 100, 20_000, "the header"])
def test_a_video_that_cannot_be_finished_is_not_left(tmp_path, room):
    (source,) = find_sources([write_video(tmp_path / "v.mp4", [(0, 0, 0)] * 2, size=(64, 64))])
    (frame, _), folder = frames([source]), tmp_path / "out"
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, [400, 500, 3], np.uint8) for _ in range(20)]

    def draw_all():
        with drawings({source: folder / "v.mp4"}, False, 1) as draw:
            for image in images:
                draw(Answer(frame, image))

    if room == "the header":  # which is written last
        draw_all()
        room = (folder / "v.mp4").stat().st_size - 100
        (folder / "v.mp4").unlink()
    with files_of_at_most(room), pytest.raises(InputError, match="cannot write .*v.mp4"):
        draw_all()
    assert list(folder.iterdir()) == []


def test_a_picture_that_does_not_fit_is_not_left(tmp_path):
    (source,) = find_sources([write_picture(tmp_path / "a.png", (90, 0, 0))])
    (frame,) = frames([source])
    with (
        files_of_at_most(200),
        pytest.raises(InputError, match="cannot write .*a.png: File too large"),
        drawings({source: tmp_path / "out/a.png"}, False, 1) as draw,
    ):
        draw(Answer(frame, plain(0, 400, 500)))
    assert list((tmp_path / "out").iterdir()) == []


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
