"""Estimates valence and arousal from class probabilities: their expectation on the circumplex.

  a = sum_j p_j a_j

with a_j the place of class j. For want of better: it adds nothing to the probabilities.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ldl_fer.data.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.evaluation.trained_model import load_model
from ldl_fer.files import sha256
from ldl_fer.preparation.affect.model import squares
from ldl_fer.preparation.affect.partial_annotations import read_partial_annotations

# Mean pleasure and arousal that students gave to the words happy, sad, surprised, fearful,
# disgusted and angry, in [-1, 1]: Russell and Mehrabian, "Evidence for a three-factor theory of
# emotions", Journal of Research in Personality 11, 1977, as later works quote it (the article
# itself was not at hand). Neutral is the origin by definition.
PROTOTYPES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "Neutral": (0.0, 0.0),
        "Happy": (0.81, 0.51),
        "Sad": (-0.63, -0.27),
        "Surprise": (0.40, 0.67),
        "Fear": (-0.64, 0.60),
        "Disgust": (-0.60, 0.35),
        "Anger": (-0.51, 0.59),
    }
)
PROTOTYPES_SOURCE = "Russell and Mehrabian 1977"
WARNING = (
    "these values are the classifier's opinion in other units. Faces that it takes for the same "
    "class lie at the same place, so that neighbors share its mistakes and say little that it does "
    "not say itself; arousal is the mean of words, not of faces. Good for trying the method out, "
    "or as a stopgap until a regressor is at hand; not for reporting valence or arousal, nor as "
    "evidence that the method helps."
)


class Prototypes:
    """Class probabilities read as valence and arousal.

    Attributes:
      image_size: H = W that the classifier takes, pixels.
      source: for the column valence_arousal_source.
    """

    def __init__(
        self,
        probabilities: Callable[[np.ndarray], np.ndarray],
        prototypes: np.ndarray,
        image_size: int,
        source: str,
    ) -> None:
        """Takes the classifier, uint8 [B, S, S, 3] -> [B, C], and the classes' places, [C, 2]."""
        self._probabilities = probabilities
        self._prototypes = np.asarray(prototypes, np.float64)
        self.image_size = image_size
        self.source = source

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Returns float32 [B, 2] in the prototypes' convex hull, for uint8 RGB [B, H, W, 3]."""
        given = self._probabilities(squares(images, self.image_size))
        return expectation(given, self._prototypes).astype(np.float32)


def expectation(probabilities: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Returns sum_j p_j a_j, [..., 2], of probabilities [..., C] and prototypes [C, 2]."""
    return np.asarray(probabilities, np.float64) @ np.asarray(prototypes, np.float64)


def prototypes_of(class_names: Sequence[str]) -> np.ndarray:
    """Returns PROTOTYPES of the named classes, [C, 2].

    Raises:
      InputError: a class that has none.
    """
    unknown = [name for name in class_names if name not in PROTOTYPES]
    if unknown:
        raise InputError(
            f"there is no prototype of {', '.join(unknown)}; there are {', '.join(PROTOTYPES)}. "
            "Give --from_csv, a CSV whose valence and arousal tell where its classes lie."
        )
    return np.array([PROTOTYPES[name] for name in class_names])


def class_means(annotations: Annotations) -> np.ndarray:
    """Returns the mean valence and arousal of each class, [C, 2].

    Raises:
      InputError: a class without rows.
    """
    labels, points = annotations.labels, annotations.valence_arousal.astype(np.float64)
    counts = np.bincount(labels, minlength=len(annotations.class_names))
    empty = [annotations.class_names[label] for label in np.flatnonzero(counts == 0)]
    if empty:
        raise InputError(f"--from_csv has no row with values of {', '.join(empty)}.")
    sums = [np.bincount(labels, points[:, axis], len(counts)) for axis in (0, 1)]
    return np.stack(sums, axis=1) / counts[:, np.newaxis]


def load_classifier(
    path: str | Path,
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[str, ...], int, str]:
    """Loads the best network of a run folder, or an exported SavedModel.

    Returns:
      A function, uint8 [B, S, S, 3] -> probabilities [B, C]; the C class names; S; name and hash.

    Raises:
      InputError: the path is neither of the two.
    """
    path, model = Path(path), load_model(path)
    weights = path / "best.weights.h5"  # of a run folder
    name = f"{path.name} sha256:{sha256(weights if weights.exists() else path)[:12]}"
    return (
        lambda images: model.probabilities(images, len(images)),
        model.class_names,
        model.image_size,
        name,
    )


def load_prototypes(path: str, from_csv: str | None) -> tuple[Prototypes, tuple[str, ...]]:
    """Loads a classifier as a model of valence and arousal; prints the prototypes.

    Args:
      path: of the classifier.
      from_csv: its class means become the prototypes; None: PROTOTYPES.

    Returns:
      The model, and its class names.

    Raises:
      InputError: as `load_classifier`, `prototypes_of` and `class_means`.
    """
    probabilities, class_names, size, name = load_classifier(path)
    if from_csv:
        places = class_means(read_partial_annotations(from_csv, class_names).complete())
        origin = f"class means of {Path(from_csv).name}"
    else:
        places, origin = prototypes_of(class_names), PROTOTYPES_SOURCE
    lines = [f"{n} ({v:.2f}, {a:.2f})" for n, (v, a) in zip(class_names, places, strict=True)]
    print(f"prototypes ({origin}): {', '.join(lines)}")
    source = f"prototypes of {name}, {origin}"
    return Prototypes(probabilities, places, size, source), class_names
