"""Draws latent points of faces, and maps them to label distributions and to a face's geometry.

A face has a latent point (valence, arousal, attack, rejection). The first two are the plane that
the method looks for neighbors in; the last two separate classes that are close together there:
anger attacks, fear flees, disgust rejects. Each class has a prototype. A face is a draw around one
of them, and its true distribution is the softmax of the negative squared distances to all of them
(`true_distribution`): the posterior of the class at equal frequencies. The latent sets mouth,
brows, eyes, nose and head (`face_geometry`).

These prototypes are made for drawing; those of real faces are in `affect.prototypes`.
"""

import numpy as np

from ldl_fer.preparation.drawn_faces.drawing import FaceGeometry

FREQUENCIES = np.array([0.19, 0.23, 0.14, 0.12, 0.10, 0.11, 0.11])  # of the prototypes drawn around
LATENT_PROTOTYPES = np.array(
    [  # valence, arousal, attack, rejection
        [0.00, -0.05, 0.00, 0.00],  # Neutral
        [0.65, 0.30, 0.00, 0.00],  # Happy
        [-0.55, -0.45, 0.00, 0.00],  # Sad
        [0.20, 0.75, 0.00, 0.00],  # Surprise
        [-0.40, 0.70, -0.35, 0.00],  # Fear
        [-0.60, 0.30, 0.00, 0.45],  # Disgust
        [-0.45, 0.60, 0.40, 0.00],  # Anger
    ]
)
SPREAD = 0.26  # standard deviation of a face around its prototype, per latent axis


def sample_latent(random: np.random.Generator) -> np.ndarray:
    """Draws a face's latent point, [4]: valence and arousal in [-1, 1], attack, rejection."""
    prototype = LATENT_PROTOTYPES[random.choice(len(LATENT_PROTOTYPES), p=FREQUENCIES)]
    latent = prototype + random.normal(0.0, SPREAD, 4)
    latent[:2] = np.clip(latent[:2], -1.0, 1.0)
    return latent


def true_distribution(latent: np.ndarray) -> np.ndarray:
    """Returns the class distribution of a latent point.

      d_j = softmax_j(-||z - p_j||^2 / (2 SPREAD^2))

    Args:
      latent: [..., 4].

    Returns:
      [..., 7], rows sum to 1, in the order of `CLASS_NAMES`.
    """
    distance = np.square(latent[..., np.newaxis, :] - LATENT_PROTOTYPES).sum(axis=-1)
    score = -distance / (2.0 * SPREAD**2)
    weight = np.exp(score - score.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def face_geometry(latent: np.ndarray) -> FaceGeometry:
    """Returns the geometry of a face at a latent point, [4]; smooth in every axis."""
    valence, arousal, attack, rejection = (float(value) for value in latent)
    pleasure, displeasure = _ramp(valence), _ramp(-valence)
    attacking, fleeing, rejecting = _ramp(attack), _ramp(-attack), _ramp(rejection)
    return FaceGeometry(
        mouth_curvature=1.1 * valence,
        mouth_opening=1.7 * _ramp(arousal - 0.3) - 0.4 * attacking - 0.3 * rejecting,
        mouth_width=0.6 * pleasure - 0.7 * _ramp(arousal) - 0.3 * displeasure + 0.9 * fleeing,
        lip_raise=1.8 * rejecting,
        brow_height=0.8 * arousal - 1.9 * attacking - 1.3 * rejecting + 0.3 * fleeing,
        brow_slope=0.9 * displeasure - 2.2 * attack - 1.0 * rejecting,
        frown=0.4 * displeasure + 1.6 * attacking + 0.9 * rejecting,
        eye_openness=0.9 * arousal - 1.2 * attacking - 1.4 * rejecting - 0.5 * pleasure,
        pupil=0.6 * arousal,
        nose_wrinkle=2.0 * rejecting,
        head_drop=0.8 * _ramp(-arousal) * displeasure,
    )


def _ramp(value: float) -> float:
    """Returns max(value, 0) with its corner rounded over about 0.1, and 0 at 0."""
    return 0.1 * float(np.logaddexp(0.0, value / 0.1) - np.log(2.0))
