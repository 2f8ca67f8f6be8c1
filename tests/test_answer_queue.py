"""Faces of many pictures share batches, and each comes back to its picture, in order."""

import numpy as np
from color_model import CornerDetector, color_model, plain

from ldl_fer import Predictor, answer_queue

COLORS = np.random.default_rng(0).integers(0, 256, [50, 3])


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
    monkeypatch.setattr(answer_queue, "_HELD_BYTES", 5 * plain(0).nbytes)
    model = color_model()
    stream = Predictor(model, faces="whole").stream(map(plain, COLORS), keep_images=True)
    assert len(list(stream)) == 50
    assert max(model.network.batches) <= 8  # 6 pictures, filled up to a power of two
