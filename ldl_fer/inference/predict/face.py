"""Judges one face: a label distribution, and whether it is ambiguous."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH_SIZE = 32  # faces that pass through the network together
MARGIN, MIN_CONFIDENCE = 0.1, 0.4


@dataclass(frozen=True, eq=False)
class FacePrediction:
    """The prediction for one face.

    Attributes:
      box: x, y, width, height in pixels of the picture; all of it where faces are not detected.
      distribution: class name -> calibrated probability, in the model's class order; sums to 1.
      entropy: of the distribution, nats: 0 (certain) to log C (1.95 for seven classes).
      leading, runner_up: names of the two most probable classes.
      confidence: probability of `leading`.
      margin: how much more probable it is than `runner_up`, in [0, 1].
      doubts: why the face is ambiguous: "margin", "confidence", both or none.
      score: the detector's, in [0, 1]; None where faces are not detected.
      landmarks: float32 [5, 2], x and y in pixels; None if the detector finds none.
      valence, arousal: in [-1, 1]; None without a regressor.
    """

    box: tuple[float, float, float, float]
    distribution: dict[str, float]
    entropy: float
    leading: str
    runner_up: str
    confidence: float
    margin: float
    doubts: tuple[str, ...]
    score: float | None = None
    landmarks: np.ndarray | None = None
    valence: float | None = None
    arousal: float | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether the two leading classes are too close, or the confidence is too low."""
        return bool(self.doubts)


def judge(
    probabilities: np.ndarray,
    class_names: Sequence[str],
    margin: float = MARGIN,
    min_confidence: float = MIN_CONFIDENCE,
    **known: Any,
) -> FacePrediction:
    """Judges one distribution p.

    A face is ambiguous if p_1 - p_2 < margin or p_1 < min_confidence; p_1 and p_2 are the largest
    two.

    Args:
      probabilities: [C], calibrated, sum 1, C at least 2.
      class_names: C names.
      margin, min_confidence: in [0, 1]; 0 switches that doubt off.
      **known: the attributes that do not follow from these: box, score, ...
    """
    from ldl_fer.evaluation.temperature import entropy

    second, first = np.argsort(probabilities, kind="stable")[-2:]
    confidence = float(probabilities[first])
    lead = confidence - float(probabilities[second])
    doubts = {"margin": lead < margin, "confidence": confidence < min_confidence}
    return FacePrediction(
        distribution=dict(zip(class_names, map(float, probabilities), strict=True)),
        entropy=float(entropy(probabilities)),
        leading=class_names[first],
        runner_up=class_names[second],
        confidence=confidence,
        margin=lead,
        doubts=tuple(name for name, doubtful in doubts.items() if doubtful),
        **known,
    )
