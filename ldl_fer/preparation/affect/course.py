"""Says of a regressor's training whether more epochs, or more faces, would help."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ldl_fer.preparation.affect.agreement import worse_than_constant

RISING, OVERFITTED, STALLED = "rising", "overfitted", "stalled"
_WIDTH = 3  # epochs that are averaged, for a validation set is small
_NEAR = 0.03  # CCC below its best that still counts as the same
_LASTS = 0.25  # part of the epochs, after which what does not rise is flat
_ROSE, _APART = 0.1, 0.15  # CCC: of training since, and between training and validation
_FAR_APART = 0.25  # CCC between the two that needs no rise


class Course(NamedTuple):
    """How a training went.

    Attributes:
      kind: RISING: validation rose until the end; OVERFITTED: it was flat while training rose, or
        far below it; STALLED: both were flat.
      text: what was seen, a sentence; empty of a rising one.
      cure: what to do for a better regressor, a sentence.
    """

    kind: str
    text: str
    cure: str


def course_of(training: Sequence[float], validation: Sequence[float]) -> Course:
    """Judges the course of a training by its CCC after each epoch.

    Args:
      training: [E], of the training faces, as augmented; E at least 1.
      validation: [E], of the others; a value that is not finite counts as -1.
    """
    seen, measured = (_smooth(np.nan_to_num(x, nan=-1.0)) for x in (training, validation))
    epochs, best = len(measured), float(measured.max())
    since = int(np.argmax(measured >= best - _NEAR))  # the first epoch as good as any later one
    if epochs - 1 - since < max(_WIDTH, _LASTS * epochs):
        return Course(RISING, "", "Train longer.")
    rose, apart = seen[-1] - seen[since], seen[-1] - measured[-1]
    flat = f"the validation CCC has not risen since epoch {since + 1} (there {measured[since]:.2f}"
    flat += f", at the end {measured[-1]:.2f})"
    if apart >= _FAR_APART or (rose >= _ROSE and apart >= _APART):
        text = f"the network overfits: {flat}, while that of the training faces is {seen[-1]:.2f}."
        cure = (
            "Train on more faces, not longer; or from a pretrained network (--preset=frozen), with "
            "more --dropout or --erase_probability, or for fewer epochs."
        )
        return Course(OVERFITTED, text, cure)
    text = f"{flat}, and that of the training faces hardly: {seen[-1]:.2f}."
    cure = (
        "Longer training will not help: try another --learning_rate or network (--preset=frozen), "
        "and see whether valence and arousal are those of these faces."
    )
    return Course(STALLED, text, cure)


def advice(found: Mapping[str, dict], course: Course) -> list[str]:
    """Returns sentences on a regressor that is poor or stopped improving, and what helps.

    Args:
      found: name of a set -> `agreement` on it.
      course: of its training.
    """
    poor = [f"{name}: {text}." for name, m in found.items() for text in worse_than_constant(m)]
    if not poor and course.kind == RISING:
        return []
    if not poor and course.kind == STALLED:
        return [f"{course.text} Longer training will not help."]
    return [*poor, f"{course.text} {course.cure}".strip()]


def _smooth(values: np.ndarray) -> np.ndarray:
    """Averages over the epochs beside each, [E]; fewer at both ends."""
    ones = np.ones(min(_WIDTH, len(values)))
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")
