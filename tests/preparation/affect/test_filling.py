"""Pictures go through a model in their order, and suspicious values are warned of."""

import cv2
import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.preparation.affect.filling import (
    class_table,
    fill,
    predict_pictures,
    saturated,
    warnings_of,
)
from ldl_fer.preparation.affect.partial_annotations import PartialAnnotations


class MeanColors:
    """Valence: red, arousal: blue, 0 to 255 taken as -1.25 to 1.25."""

    image_size, source = 5, "mean colors"

    def outputs(self, images):
        assert images.shape[1:] == (5, 5, 3) and images.dtype == np.uint8
        return (images.mean(axis=(1, 2))[:, [0, 2]] / 102 - 1.25).astype(np.float32)


def made_up(folder, count, labels=None):
    colors = np.random.default_rng(0).integers(0, 256, [count, 3], np.uint8)
    for row, color in enumerate(colors):
        picture = np.broadcast_to(color[::-1], [7, 5, 3])  # OpenCV writes BGR
        assert cv2.imwrite(str(folder / f"{row}.png"), picture)
    texts = {
        "subDirectory_filePath": [f"{row}.png" for row in range(count)],
        "expression": [str(row % 7) for row in range(count)] if labels is None else labels,
        "valence": [""] * count,
        "arousal": [""] * count,
    }
    return PartialAnnotations(texts), colors[:, [0, 2]] / 102 - 1.25


def test_values_come_in_the_order_of_the_rows_whatever_the_batch(tmp_path):
    partial, wanted = made_up(tmp_path, 11)
    paths = [tmp_path / path for path in partial.paths]
    for batch_size in (1, 4, 64):
        found = predict_pictures(MeanColors(), paths, range(11), batch_size, progress=False)
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_only_missing_rows_are_looked_at_unless_overwriting(tmp_path):
    partial, wanted = made_up(tmp_path, 8)
    half = partial.filled(np.arange(4), np.zeros([4, 2]), "zero")
    filled, rows, values = fill(half, MeanColors(), tmp_path, progress=False)
    assert rows.tolist() == [4, 5, 6, 7]
    np.testing.assert_allclose(values, wanted[4:], atol=1e-6)
    expected = np.concatenate([np.zeros([4, 2]), wanted[4:].clip(-1, 1)])
    np.testing.assert_allclose(filled.valence_arousal, expected, atol=5.1e-5)
    with pytest.raises(InputError, match="--overwrite"):
        fill(filled, MeanColors(), tmp_path, progress=False)
    again, rows, _ = fill(filled, MeanColors(), tmp_path, overwrite=True, progress=False)
    assert len(rows) == 8
    np.testing.assert_allclose(again.valence_arousal, wanted.clip(-1, 1), atol=5.1e-5)


def test_an_unreadable_picture_is_named_with_its_row(tmp_path):
    partial, _ = made_up(tmp_path, 3)
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"row 1: .*1\.png"):
        fill(partial, MeanColors(), tmp_path, progress=False)


def test_warnings_and_their_absence():
    labels = ["1", "1", "2", "2"]  # Happy, Happy, Sad, Sad
    texts = {"subDirectory_filePath": list("abcd"), "expression": labels}
    partial, rows = PartialAnnotations(texts), np.arange(4)
    good = np.array([[0.5, 0.1], [0.7, 0.5], [-0.5, -0.3], [-0.4, 0.2]])
    assert warnings_of(partial, rows, good) == []
    outside = good * [1.9, 1]  # 0.5 and -0.5 become 0.95 and lie inside, 1.33 does not
    assert [w[:28] for w in warnings_of(partial, rows, outside)] == ["1 of 4 values of valence lay"]
    (constant,) = warnings_of(partial, rows, good * [1, 0] + [0, 0.3])
    assert constant.startswith("arousal is nearly the same everywhere (0.300")
    (upside_down,) = warnings_of(partial, rows, -good)
    # means of Happy -(0.5 + 0.7) / 2, of Sad (0.5 + 0.4) / 2
    assert "Happy faces have a mean valence of -0.60, Sad ones of 0.45" in upside_down
    for values in (outside, good * [1, 0] + [0, 0.3], -good, np.sign(good)):
        (with_flags,) = warnings_of(partial, rows, values)[-1:]
        (without,) = warnings_of(partial, rows, values, flagged=False)[-1:]
        assert "--" in with_flags and "--" not in without and with_flags.startswith(without)
    lines = class_table(partial, rows, good).splitlines()
    assert lines[2].split() == ["Happy", "2", "0.60", "[0.50,", "0.70]", "0.30", "[0.10,", "0.50]"]
    assert lines[1].split() == ["Neutral", "0"]


def test_class_means_far_from_peoples_are_warned_of():
    texts = {"subDirectory_filePath": [str(n) for n in range(40)], "expression": ["1", "2"] * 20}
    partial, rows = PartialAnnotations(texts), np.arange(40)
    values = np.random.default_rng(0).normal(0, 0.1, [40, 2])
    near = values + np.tile([[0.67, 0.08], [-0.63, -0.27]], [20, 1])
    assert warnings_of(partial, rows, near) == []
    far = near + [0.0, 0.4]
    (warning,) = warnings_of(partial, rows, far)
    assert "arousal of Happy 0.4" in warning and "(0.08)" in warning and "valence of" not in warning
    assert "--columns" in warning
    assert "--columns" not in warnings_of(partial, rows, far, flagged=False)[0]
    few = rows[:38]  # 19 a class say nothing
    assert warnings_of(partial, few, far[few]) == []


def test_more_than_a_twentieth_of_saturated_rows_is_warned_of():
    values = np.random.default_rng(0).uniform(-0.9, 0.9, [40, 2])
    values[0, 0], values[1, 1], values[2] = -0.995, 1.0, [1.2, np.nan]
    assert np.flatnonzero(saturated(values)).tolist() == [0, 1]  # 1.2 is another mistake
    values[2] = 0.99
    texts = {"subDirectory_filePath": [str(n) for n in range(40)], "expression": ["0"] * 40}
    partial, rows = PartialAnnotations(texts), np.arange(40)
    assert warnings_of(partial, rows, values) == []  # 2 of 40 are 5 %, no more
    values[3, 1] = -1.0
    (warning,) = warnings_of(partial, rows, values)
    assert warning.startswith("the model saturates: 8% of the rows")  # 3 of 40
