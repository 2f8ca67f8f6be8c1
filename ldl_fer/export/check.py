"""An export beside the network it was made of: what may differ, and whether it does."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from ldl_fer.networks.saved_model import probabilities

RANDOM = 3  # made-up images that every export is compared on
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Probabilities of an export beside those of the network, on the same images.

    Attributes:
      images: how many.
      largest: largest absolute difference of a probability.
      mean: mean absolute difference of a probability.
      agreement: part of the images whose most probable class is the same, [0, 1].
    """

    images: int
    largest: float
    mean: float
    agreement: float

    def __str__(self) -> str:
        return (
            f"largest difference {self.largest:.2g}, mean {self.mean:.2g}, the same class for "
            f"{self.agreement:.1%} of {self.images} images"
        )


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """What an export must keep to be kept, and what it should keep not to be warned of.

    Attributes:
      largest: bound of `Comparison.largest`; infinite where a format rounds.
      mean, agreement: bounds of those; an export beyond them is refused, on real pictures only,
        since made-up ones are not what a quantized network was calibrated for.
      good_mean, good_agreement: an export beyond them is kept, with a warning.
    """

    largest: float = np.inf
    mean: float = np.inf
    agreement: float = 0.0
    good_mean: float = np.inf
    good_agreement: float = 0.0

    def __str__(self) -> str:
        if np.isfinite(self.largest):
            return f"no probability differs by more than {self.largest:g}"
        return (
            f"mean absolute difference of a probability at most {self.good_mean:g} and the same "
            f"most probable class for at least {self.good_agreement:.0%} of real pictures "
            f"(refused beyond {self.mean:g} or below {self.agreement:.0%})"
        )


def references(
    network: tf.keras.Model, image_size: int, pictures: np.ndarray | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What a network answers, to compare its exports with.

    Args:
      network: images [B, S, S, 3], 0 to 255 -> (features [B, V], logits [B, C]).
      image_size: S, pixels.
      pictures: uint8 [M, S, S, 3], real ones; None: there are none.

    Returns:
      For "random images", 3 of them, and "real pictures", if there are any: the images and their
      probabilities, float32 [M, C].
    """
    random = np.random.default_rng(0)
    kinds = {"random images": random.integers(0, 256, [RANDOM, *[image_size] * 2, 3], np.uint8)}
    if pictures is not None:
        kinds["real pictures"] = pictures

    def run(part: np.ndarray) -> np.ndarray:
        return probabilities(network, part).numpy()

    return {
        kind: (images, np.concatenate([run(part) for part in in_batches(images)]))
        for kind, images in kinds.items()
    }


def in_batches(images: np.ndarray) -> Iterator[np.ndarray]:
    """The images in parts of at most 32, with a bar where that takes longer than two seconds."""
    starts = range(0, len(images), _BATCH)
    for start in tqdm(starts, "comparing", unit="batch", delay=2, leave=False):
        yield images[start : start + _BATCH]


def compare(expected: np.ndarray, found: np.ndarray) -> Comparison:
    """Compares two arrays of probabilities, [B, C] each; a NaN is an infinite difference.

    Raises:
      RuntimeError: their shapes differ.
    """
    if found.shape != expected.shape:
        raise RuntimeError(
            f"the export answers {found.shape} where the network has {expected.shape}"
        )
    difference = np.abs(np.nan_to_num(found, nan=np.inf) - expected)
    same = expected.argmax(axis=1) == found.argmax(axis=1)
    return Comparison(
        len(expected), float(difference.max()), float(difference.mean()), float(same.mean())
    )


def checked(
    known: Mapping[str, tuple[np.ndarray, np.ndarray]],
    answers: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    tolerance: Tolerance,
) -> dict[str, Comparison]:
    """Compares an export with the network that it was made of.

    Args:
      known: of `references`.
      answers: images [B, S, S, 3] -> by way of asking, the export's probabilities [B, C].
      tolerance: what may differ.

    Returns:
      By kind of images, the comparison of the way of asking that is worst.

    Raises:
      RuntimeError: the export is beyond its tolerance.
    """
    found = {}
    for kind, (images, expected) in known.items():
        for way, answered in answers(images).items():
            comparison = compare(expected, answered)
            _refuse(way, kind, comparison, tolerance)
            if kind not in found or comparison.largest > found[kind].largest:
                found[kind] = comparison
    return found


def warnings(checks: Mapping[str, Comparison], tolerance: Tolerance) -> list[str]:
    """Sentences on a kept export that is less like the network than it should be, with a cure."""
    real = checks.get("real pictures")
    if real is None:
        return []
    bad = real.mean > tolerance.good_mean or real.agreement < tolerance.good_agreement
    if not bad:
        return []
    return [
        f"names the network's class for {real.agreement:.1%} of {real.images} real pictures, and "
        f"its probabilities are off by {real.mean:.2g} on average (good would be "
        f"{tolerance.good_agreement:.0%} and {tolerance.good_mean:g}): calibrate it on more "
        "pictures like those it will see, --representative=FOLDER, or use --format=tflite."
    ]


def _refuse(way: str, kind: str, comparison: Comparison, tolerance: Tolerance) -> None:
    if not comparison.largest <= tolerance.largest:
        raise RuntimeError(
            f"the exported {way} differs from the network by {comparison.largest:.3g} on {kind}, "
            f"more than {tolerance.largest:g}; nothing was kept"
        )
    far = not comparison.mean <= tolerance.mean or comparison.agreement < tolerance.agreement
    if kind == "real pictures" and far:
        raise RuntimeError(
            f"the exported {way} is too unlike the network on {kind} ({comparison}; {tolerance}); "
            "nothing was kept"
        )
