"""The figure of neighbors: every image, number and bar in its place."""

import numpy as np
import pytest

from ldl_fer import neighbor_plot


def test_neighbors_puts_each_bar_under_its_image():
    random = np.random.default_rng(2)
    images = random.integers(0, 256, [2, 6, 6, 3], np.uint8)
    others = random.integers(0, 256, [2, 3, 6, 6, 3], np.uint8)
    similarity, calibration = random.uniform(0, 1, [2, 2, 3])
    contribution = similarity * calibration
    labels = [["a", "b", "c"], ["d", "e", "f"]]
    figure = neighbor_plot.neighbors(
        images, others, ["A", "B"], labels, contribution, calibration, similarity
    )
    expected = [images[0], *others[0], images[1], *others[1]]
    with_image = [axes for axes in figure.axes if axes.images]
    for axes, image in zip(with_image, expected, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert [axes.get_title() for axes in with_image] == ["A", "a", "b", "c", "B", "d", "e", "f"]
    bars = [axes for axes in figure.axes if axes.patches and not axes.images]
    widths = [[patch.get_width() for patch in axes.patches] for axes in bars]
    for found, s, c in zip(widths, similarity.ravel(), contribution.ravel(), strict=True):
        assert found == pytest.approx([1.0, s, c])  # frame, pale bar, bar: the last lies on top
    text = bars[4].texts[0].get_text()
    assert f"$c$ {contribution[1, 1]:.2f}" in text
    assert f"$\\zeta$ {calibration[1, 1]:.2f}" in text
    assert f"$s$ {similarity[1, 1]:.2f}" in text
    with pytest.raises(ValueError, match="neighbors"):
        neighbor_plot.neighbors(
            images, others[:1], ["A", "B"], labels, contribution, calibration, similarity
        )
