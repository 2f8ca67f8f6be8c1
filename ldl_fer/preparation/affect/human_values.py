"""Compares where classes lie in valence and arousal with where people put their faces.

A correlation does not see values that are shifted or shrunk: neighbors are found by them all the
same, but they are no valence and arousal, and whoever learns from them learns the shift.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ldl_fer.preparation.affect.agreement import AXES
from ldl_fer.preparation.datasets.reader import one_name

# Mean valence and arousal that people gave to the faces of each class: AffectNet's validation set
# (Mollahosseini et al., 2017), 500 faces a class. Their standard deviations are .07 to .23.
HUMAN_MEANS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "Neutral": (-0.03, -0.02),
        "Happy": (0.67, 0.08),
        "Sad": (-0.63, -0.27),
        "Surprise": (0.18, 0.70),
        "Fear": (-0.12, 0.76),
        "Disgust": (-0.68, 0.45),
        "Anger": (-0.43, 0.55),
    }
)
HUMAN_SOURCE = "people's, AffectNet's validation set"
SHIFTED = 0.2  # from the human mean: a tenth of the axis
FEWEST_ROWS = 20  # of a class
CURE = (
    "Neighbors can be found by them, but they are no human valence and arousal. Fill them by a "
    "model that was trained on people's values: `ldl-fer affect predict --overwrite`, with "
    "--spec=hsemotion_enet_b0 and the like for the models people have."
)


class ClassMean(NamedTuple):
    """The mean of a class on an axis, beside people's."""

    class_name: str
    axis: str
    mean: float
    human: float

    @property
    def off(self) -> float:
        """How far the mean lies from people's, signed."""
        return self.mean - self.human


def class_means_beside_human(
    class_names: Sequence[str], labels: np.ndarray, values: np.ndarray
) -> list[ClassMean]:
    """Returns the means of all classes that have a human one and 20 rows at least.

    Args:
      class_names: C names, in the order of the labels, in any of their synonyms.
      labels: [N] in [0, C), or -1 of a row without a class.
      values: [N, 2] valence and arousal; rows with NaN are left out.
    """
    there = np.isfinite(values).all(axis=1)
    made = []
    for label, name in enumerate(class_names):
        chosen = values[there & (labels == label)]
        human = HUMAN_MEANS.get(one_name(name))
        if human and len(chosen) >= FEWEST_ROWS:
            means = chosen.mean(axis=0).tolist()
            made += [ClassMean(name, *cells) for cells in zip(AXES, means, human, strict=False)]
    return made


def shift_sentence(means: Sequence[ClassMean]) -> str:
    """Returns which means lie more than 0.2 from people's, the worst first; empty: none."""
    far = sorted((m for m in means if abs(m.off) > SHIFTED), key=lambda m: -abs(m.off))
    if not far:
        return ""
    listed = ", ".join(f"{m.axis} of {m.class_name} {m.mean:.2f} ({m.human:.2f})" for m in far)
    return f"class means are shifted from people's (in brackets; {HUMAN_SOURCE}): {listed}."
