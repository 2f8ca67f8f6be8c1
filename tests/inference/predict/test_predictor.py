"""Pictures and crops become distributions and verdicts; unreadable ones are named."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.color_model import SIZE, CornerDetector, color_model, plain, write_picture

from ldl_fer import Predictor
from ldl_fer.errors import InputError
from ldl_fer.inference.predict import stream

COLORS = np.random.default_rng(0).integers(0, 256, [50, 3])


def test_whole_pictures(tmp_path):
    model = Predictor(color_model(), faces="whole")
    for image in (plain((30, 90, 120)), write_picture(tmp_path / "p.png", (30, 90, 120))):
        (face,) = model(image)
        found = list(face.distribution.values())
        np.testing.assert_allclose(found, [30 / 240, 90 / 240, 120 / 240], atol=1e-5)
        assert (face.leading, face.runner_up, face.score) == ("Blue", "Grün", None)
        assert face.box == (0.0, 0.0, 16.0, 16.0)
    with pytest.raises(ValueError, match="not an RGB picture"):
        model(np.zeros([4, 4], np.uint8))


def test_a_picture_that_is_none_is_named(tmp_path):
    model = Predictor(color_model(), faces="whole")
    (tmp_path / "noise.png").write_bytes(b"nonsense")
    for name, reason in (
        ("none.png", "No such file"),
        ("noise.png", "not a picture"),
        ("clip.mp4", "a video, not a picture"),
        ("", "a folder, not a picture"),
    ):
        with pytest.raises(InputError, match=f"{re.escape(str(tmp_path / name))}: {reason}"):
            model(tmp_path / name)
    with pytest.raises(InputError, match="not a picture, but None"):
        model(None)


@pytest.mark.parametrize(
    ("file", "advice"), [("config.json", "--run_dir={}$"), ("saved_model.pb", "export again$")]
)
def test_note_on_temperature_names_the_run(tmp_path, monkeypatch, file, advice):
    (tmp_path / file).touch()
    monkeypatch.setattr(
        "ldl_fer.inference.predict.predictor.load_model", lambda folder: color_model()
    )
    (note,) = Predictor(tmp_path, faces="whole").notes
    assert f"fitted for {tmp_path}, " in note
    assert re.search(advice.format(re.escape(str(tmp_path))), note)


def test_temperature_and_verdict():
    # p = (1/8, 3/8, 4/8) at T = 1/2: p^2 / sum p^2 = (1, 9, 16) / 26
    (face,) = Predictor(color_model(0.5), faces="whole")(plain((30, 90, 120)))
    np.testing.assert_allclose(
        list(face.distribution.values()), np.array([1, 9, 16]) / 26, atol=1e-5
    )
    assert not Predictor(color_model(0.5)).notes
    uncalibrated = Predictor(color_model())
    assert uncalibrated.temperature == 1.0 and "no temperature was fitted" in uncalibrated.notes[0]
    named = Predictor(color_model(0.5), faces="whole", temperature=1.0, margin=0.2)
    assert named(plain((30, 90, 120)))[0].doubts == ("margin",)  # 4/8 - 3/8
    surer = Predictor(color_model(1.0), faces="whole", margin=0.0, min_confidence=0.6)
    assert surer(plain((30, 90, 120)))[0].doubts == ("confidence",)


def test_gray_for_the_network_alone():
    (face,) = Predictor(color_model(), faces="whole", gray=True)(plain((30, 90, 120)))
    np.testing.assert_allclose(list(face.distribution.values()), 1 / 3, atol=1e-5)


def test_stream_keeps_the_order_and_fills_batches(tmp_path):
    # 0, 1, 2, 3, 0, ... faces a picture by the first pixel: 75 faces in 50 pictures.
    images = []
    for number, color in enumerate(COLORS):
        images.append(plain(color))
        images[-1][0, 0, 0] = 10 * (number % 4)
    faces = sum(number % 4 for number in range(50))
    model = color_model()
    stream = Predictor(model, CornerDetector(), batch_size=16).stream(images, keep_images=True)
    answers = list(stream)
    assert model.network.batches == [16] * (-(-faces // 16))  # the last of 11, filled up to 16
    for number, (answer, image) in enumerate(zip(answers, images, strict=True)):
        assert answer.item is image and answer.image is image and answer.size == (16, 16)
        assert [face.box[2] for face in answer.faces] == [10.0, 9.9, 9.8][: number % 4]
        for face in answer.faces:
            assert face.leading == ("Red", "Grün", "Blue")[COLORS[number].argmax()]


def test_one_batch_may_hold_a_part_of_a_crowd():
    image = plain((250, 90, 0))  # 25 faces
    model = color_model()
    answers = list(
        Predictor(model, CornerDetector(), batch_size=4).stream([image, plain(0), image])
    )
    assert [len(answer.faces) for answer in answers] == [25, 0, 25]
    assert model.network.batches == [4] * 12 + [2]
    assert answers[0].image is None  # not asked for


def test_pictures_do_not_pile_up(monkeypatch):
    """Pictures that wait for their batch are answered before they fill the memory."""
    monkeypatch.setattr(stream, "_HELD_BYTES", 5 * plain(0).nbytes)
    model = color_model()
    answers = Predictor(model, faces="whole").stream(map(plain, COLORS), keep_images=True)
    assert len(list(answers)) == 50
    assert max(model.network.batches) <= 8  # 6 pictures, filled up to a power of two


def test_unreadable_is_an_answer(tmp_path):
    good = write_picture(tmp_path / "good.png", (0, 0, 9))
    bad, none = tmp_path / "bad.png", tmp_path / "none.png"
    bad.write_bytes(b"nonsense")
    answers = list(Predictor(color_model(), faces="whole").stream([bad, good, none, good]))
    assert [len(answer.faces) for answer in answers] == [0, 1, 0, 1]
    assert "not a picture" in answers[0].error and answers[0].size == (0, 0)
    assert answers[2].error == "No such file or directory" and not answers[1].error


def test_a_refusal_of_opencv_becomes_a_sentence(tmp_path):
    """As a detector's network does of pictures that it has no memory for."""

    class Overtaxed:
        def detect(self, image):
            raise cv2.error("out of memory")

    model, picture = Predictor(color_model(), Overtaxed()), write_picture(tmp_path / "a.png", 9)
    with pytest.raises(InputError, match="a.png: out of memory"):
        model(picture)
    (answer,) = model.stream([picture])
    assert answer.error == "out of memory"


def test_an_error_of_the_source_is_no_silence():
    def items():
        yield plain(0)
        raise RuntimeError("camera unplugged")

    with pytest.raises(RuntimeError, match="camera unplugged"):
        list(Predictor(color_model(), faces="whole").stream(items()))


def test_valence_and_arousal_see_their_own_crops():
    class Affect:
        image_size = 5

        def predict(self, images):
            assert images.shape[1:] == (5, 5, 3)
            return images[:, 0, 0, :2].astype(np.float32) / 100

    model = Predictor(color_model(), CornerDetector(), affect=Affect(), gray=True, batch_size=2)
    (first, second) = (model(plain((10, green, 0)))[0] for green in (40, 60))
    assert (first.valence, first.arousal) == (pytest.approx(0.1), pytest.approx(0.4))
    assert second.arousal == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"faces": "some"}, "detect, whole"),
        ({"margin": 10.0}, "from 0 to 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"temperature": 0.0}, "above 0"),
        ({"detector": CornerDetector(), "faces": "whole"}, "leave out --detector"),
        ({"detector": "none.onnx"}, "none.onnx"),
        ({"affect": "none.onnx"}, "none.onnx"),
    ],
)
def test_mistakes_are_named(settings, match):
    with pytest.raises(InputError, match=match):
        Predictor(color_model(), **settings)


PICTURE = np.arange(256, dtype=np.uint8).repeat(100)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (PICTURE.tobytes(), "but bytes: give a path"),
        (bytearray(PICTURE), "but bytearray"),
        (PICTURE.tolist(), "but list"),
        ({"picture": PICTURE}, "but dict"),
        (None, "but None"),
        ("/9j/" + "4AAQSkZJRg" * 2000, r"\.\.\.: File name too long"),  # a picture in base64
        ("a\0b", "null"),
        (".", "a folder, not a picture"),
        (Path("a.mp4"), "a video, not a picture"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:20],
)
def test_no_message_holds_a_picture(item, words):
    model = Predictor(color_model(), faces="whole")
    with pytest.raises(InputError, match=words) as caught:
        model(item)
    assert len(str(caught.value)) < 500
    (answer,) = model.stream([item])
    assert answer.error and len(answer.error) < 500


def test_a_model_of_another_kind_is_refused():
    for model in (PICTURE.tobytes(), None, 3):
        with pytest.raises(InputError, match="not of type") as caught:
            Predictor(model)
        assert len(str(caught.value)) < 200


def test_importing_the_package_loads_nothing():
    code = "import sys, ldl_fer; sys.exit('tensorflow' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_real_face_is_found_and_cut_out(ferplus):
    """The cascade's face in a larger picture is the pasted one, and the crop shows it alone."""
    table = pd.read_csv(ferplus / "test.csv")
    happy = table[table.votes_happy == 10].subDirectory_filePath.iloc[:8]
    found = 0
    for name in happy:
        canvas = np.full([300, 500, 3], (255, 0, 0), np.uint8)
        face = cv2.resize(cv2.imread(str(ferplus / "images" / name)), (144, 144))
        canvas[80:224, 200:344] = face
        faces = Predictor(color_model())(canvas)
        if faces:
            x, y, width, height = faces[0].box
            assert 200 < x + width / 2 < 344 and 80 < y + height / 2 < 224
            assert max(faces[0].distribution.values()) < 0.6  # mostly the gray face, a red margin
            found += 1
    assert found >= 6


def test_a_forked_process_is_told_instead_of_hanging(tmp_path):
    model = Predictor(color_model(), faces="whole")
    picture = write_picture(tmp_path / "a.png", (90, 0, 0))
    crops = np.zeros([1, SIZE, SIZE, 3], np.uint8)
    uses = [
        lambda: model(picture),
        lambda: model.stream([picture]),
        lambda: model.probabilities(crops),
        lambda: model._model.probabilities(crops, 1),
    ]
    for use in uses:
        use()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(20)
        for use in uses:
            try:
                use()
            except InputError as error:
                os.write(writer, f"{error}\n".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader) as told:
        lines = told.read().splitlines()
    assert len(lines) == len(uses) and all("before the process was forked" in t for t in lines)


def test_table_and_figure_of_pictures(tmp_path):
    write_picture(tmp_path / "a.png", (30, 90, 120))
    write_picture(tmp_path / "b.png", (120, 90, 30))
    (tmp_path / "lost.png").touch()
    model = Predictor(color_model(), faces="whole")
    table = model.predict(tmp_path)
    assert [Path(file).name for file in table["file"]] == ["a.png", "b.png", "lost.png"]
    assert table["faces"].tolist() == [1, 1, 0] and table["error"][2]
    shares = table.loc[0, [f"probability_{name}" for name in model.class_names]]
    np.testing.assert_allclose(shares.to_numpy(float), [30 / 240, 90 / 240, 120 / 240], atol=1e-5)
    one = model.predict([tmp_path / "b.png"])
    assert one.loc[0].dropna().to_dict() == table.loc[1].dropna().to_dict()
    figure = model.figure([tmp_path / "*.png"], count=1)
    assert [axes.get_title() for axes in figure.axes if axes.images] == ["Blue 0.50"]
    with pytest.raises(InputError, match="no face was found in .*lost.png"):
        model.figure(tmp_path / "lost.png")
