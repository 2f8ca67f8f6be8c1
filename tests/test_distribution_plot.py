"""Faces beside their distributions: every bar in its place."""

import numpy as np
import pytest

from ldl_fer.distribution_plot import faces_with_bars

NAMES = ("Calm", "Glad", "Sad")


def _images(count):
    return np.random.default_rng(0).integers(0, 256, [count, 6, 6, 3], dtype=np.uint8)


def test_bars_stand_beside_their_faces():
    images = _images(3)
    target, reference = np.random.default_rng(1).dirichlet(np.ones(3), [2, 3])
    series = {"given label": np.eye(3), "target distribution": target, "reference": reference}
    figure = faces_with_bars(images, series, NAMES, ["x", "y", "z"])
    faces = [axes for axes in figure.axes if axes.images]
    for axes, image in zip(faces, images, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert [axes.get_title() for axes in faces] == ["x", "y", "z"]
    charts = [axes for axes in figure.axes if axes.containers]
    assert len(charts) == 3
    for i, axes in enumerate(charts):
        for container, values in zip(axes.containers, series.values(), strict=True):
            assert [bar.get_width() for bar in container] == pytest.approx(values[i])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == list(series)
    colors = {container[0].get_facecolor() for container in charts[0].containers}
    assert len(colors) == 3


def test_a_series_of_another_shape_is_refused():
    series = {"given label": np.eye(3), "target distribution": np.eye(3)[:2]}
    with pytest.raises(ValueError, match="target distribution"):
        faces_with_bars(_images(3), series, NAMES)
