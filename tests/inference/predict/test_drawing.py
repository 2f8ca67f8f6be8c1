"""Drawings can be measured: boxes where faces are, bars as long as probabilities."""

import numpy as np
import pytest

from ldl_fer.inference.predict import drawing
from ldl_fer.inference.predict.drawing import COLORS, draw_predictions, verdict
from ldl_fer.inference.predict.face import judge

NAMES = ("Neutral", "Happy", "Überrascht")


def face(box, probabilities=(0.1, 0.8, 0.1), **known):
    return judge(np.array(probabilities), NAMES, box=box, **known)


def is_color(image, color, tolerance=3):
    return (np.abs(image.astype(int) - color) <= tolerance).all(axis=-1)


def test_bars_are_as_long_as_probabilities(monkeypatch):
    monkeypatch.setattr(drawing, "_OPACITY", 1.0)
    monkeypatch.setattr(drawing, "_link", lambda *_: None)  # of a bar's color too
    image = np.zeros([480, 640, 3], np.uint8)
    drawn = draw_predictions(image, [face((10, 10, 150, 150), (0.25, 0.5, 0.25))])
    assert not image.any() and drawn.shape == (480, 640, 3)
    chart = drawn[:, 170:]
    lengths = [is_color(chart, COLORS[j]).sum(axis=1).max() for j in range(3)]
    rail = is_color(chart, drawing._RAIL).sum(axis=1).max()  # 1 - 1/4 of a whole bar
    np.testing.assert_allclose(lengths, np.array([1, 2, 1]) / 3 * rail, atol=1.5)


def test_box_has_the_color_of_the_leading_class_and_is_dashed_in_doubt():
    image = np.zeros([480, 640, 3], np.uint8)
    counts = []
    for probabilities in ((0.0, 0.9, 0.1), (0.0, 0.52, 0.48)):
        drawn = draw_predictions(image, [face((100, 200, 150, 150), probabilities)])
        line = is_color(drawn[200, 100:250], COLORS[1], 60)
        counts.append(line.mean())
    assert counts[0] > 0.95 and 0.4 < counts[1] < 0.75  # 5 of 9 dashes
    assert verdict(face((0, 0, 9, 9), (0.0, 0.52, 0.48))) == "Happy or Überrascht?"
    assert verdict(face((0, 0, 9, 9))) == "Happy"


@pytest.mark.parametrize("box", [(10, 100, 150, 150), (470, 100, 150, 150), (200, 200, 220, 220)])
def test_chart_lies_in_the_picture_and_off_all_faces(box):
    image = np.full([480, 640, 3], 255, np.uint8)
    other = (10, 300, 120, 120) if box[0] != 200 else (10, 10, 100, 100)
    drawn = draw_predictions(image, [face(box), face(other)])
    for x, y, width, height in (box, other):
        inside = drawn[y + 6 : y + height - 6, x + 6 : x + width - 6]
        assert (inside == 255).all()
    dark = drawn.mean(axis=-1) < 100
    assert dark.sum() > 2 * 0.5 * 120 * 120  # both charts are there


def test_a_chart_is_framed_and_tied_to_its_face():
    image = np.zeros([480, 640, 3], np.uint8)
    drawn = draw_predictions(image, [face((100, 200, 150, 150))])
    happy = is_color(drawn, COLORS[1], 60)
    columns = np.flatnonzero(happy[210:260].mean(axis=0) > 0.9)  # upright lines
    assert columns[0] == pytest.approx(100, abs=2) and columns[-1] > 400
    gap = happy[200:350, 253:256]  # between the box, which ends at 250, and its chart
    assert gap.any(axis=0).all() and gap.sum(axis=0).max() < 10


def test_pictures_at_odds_with_charts():
    for shape, box in (
        ((48, 48), (0, 0, 48, 48)),
        ((37, 2001), (5, 5, 30, 30)),
        ((900, 7), (0, 0, 7, 9)),
    ):
        drawn = draw_predictions(np.zeros([*shape, 3], np.uint8), [face(box)] * 12)
        assert min(drawn.shape[:2]) >= 360 and not any(side % 2 for side in drawn.shape[:2])
    outside = draw_predictions(np.zeros([400, 400, 3], np.uint8), [face((-30.5, 380.2, 90, 90))])
    assert outside.any()


def test_whole_pictures_get_a_strip_of_one_size():
    image = np.full([48, 48, 3], 7, np.uint8)
    whole = (0, 0, 48, 48)
    drawn = [
        draw_predictions(image, faces, whole=True)
        for faces in ([], [face(whole)], [face(whole, valence=-0.5, arousal=0.25)])
    ]
    assert len({one.shape for one in drawn}) == 1
    assert all((one[:360, :360] == 7).all() for one in drawn)  # nothing is drawn over the face
    ink = [int((one.max(axis=-1) > 150).sum()) for one in drawn]
    assert ink[0] == 0 < ink[1] < ink[2]  # valence and arousal are a line more


def test_letters_beyond_ascii():
    letters = drawing._letters
    assert not np.array_equal(letters("Ü", 20), letters("U", 20))
    assert not np.array_equal(letters("Ü", 20), letters("?", 20))


def test_a_class_whose_letters_no_font_has_is_drawn_by_its_number(monkeypatch):
    written, real = [], drawing._letters
    monkeypatch.setattr(drawing, "drawable", lambda names: (names[0], "class 1", names[2]))

    def letters(words, text):
        written.append(words)
        return real(words, text)

    monkeypatch.setattr(drawing, "_letters", letters)
    drawing._chart(face((0, 0, 9, 9)), 12)
    assert written[:4] == ["class 1", "Neutral", "10%", "class 1"]
    assert "Happy" not in " ".join(written)
