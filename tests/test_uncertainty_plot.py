"""The histogram of lambda and the faces beneath it."""

import numpy as np

from ldl_fer.uncertainty_plot import uncertainty


def _images(count):
    return np.random.default_rng(0).integers(0, 256, [count, 6, 6, 3], dtype=np.uint8)


def test_uncertainty_histogram_is_by_share_of_each_group():
    images = _images(3)
    groups = {"kept": np.array([0.0, 0.01, 0.01, 1.0]), "flipped": np.array([1.0])}
    extremes = {"lowest": (images[:2], ["a", "b"]), "highest": (images[2:], ["c"])}
    figure = uncertainty(groups, "title", extremes)
    axes = figure.subfigs[0].axes[0]
    kept, flipped = ([bar.get_height() for bar in c] for c in axes.containers)
    assert (kept[0], kept[-1], flipped[-1]) == (0.75, 0.25, 1.0)  # 3 of 4, 1 of 4, 1 of 1
    assert sum(kept) == sum(flipped) == 1.0
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["kept: 4 samples", "flipped: 1 samples"]
    for part, (shown, captions) in zip(figure.subfigs[1:], extremes.values(), strict=True):
        filled = [axes for axes in part.axes if axes.images]
        assert [axes.get_title() for axes in filled] == captions
        for axes, image in zip(filled, shown, strict=True):
            np.testing.assert_array_equal(axes.images[0].get_array(), image)
