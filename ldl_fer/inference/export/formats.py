"""Writes exports of any format, whole or not at all, and compares them with their network."""

import contextlib
import dataclasses
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.progress import tqdm
from ldl_fer.errors import InputError
from ldl_fer.files import made_folder, told_when_full, values_without_home, write_checksums
from ldl_fer.networks.saved_model import probabilities

CARD = "MODEL_CARD.md"
HUB_CARD = "README.md"  # begins with the metadata that Hugging Face reads
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
    """The bounds beyond which an export is refused, or kept with a warning.

    Attributes:
      largest: bound of `Comparison.largest`; infinite where a format rounds.
      mean, agreement: bounds of those; an export beyond them is refused, on real pictures only,
        since made-up ones are not what a quantized network was calibrated for.
      good_mean, good_agreement: an export beyond them is kept, with a warning.
      pictures: fewest different real pictures that it is calibrated and compared on.
      good_pictures: below so many, it is kept with a warning.
    """

    largest: float = np.inf
    mean: float = np.inf
    agreement: float = 0.0
    good_mean: float = np.inf
    good_agreement: float = 0.0
    pictures: int = 0
    good_pictures: int = 0

    def __str__(self) -> str:
        if np.isfinite(self.largest):
            return f"no probability differs by more than {self.largest:g}"
        return (
            f"mean absolute difference of a probability at most {self.good_mean:g} and the same "
            f"most probable class for at least {self.good_agreement:.0%} of real pictures "
            f"(refused beyond {self.mean:g} or below {self.agreement:.0%})"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A trained network to export.

    Attributes:
      network: images [B, S, S, 3], 0 to 255 -> (features [B, V], logits [B, C]).
      class_names: C names.
      image_size: S, pixels.
      info: further entries of info.json, such as the backbone and its validation accuracy.
      pictures: uint8 [M, S, S, 3], real ones, to compare on and to calibrate by; None: not at hand.
      config: of its run, for a format that rebuilds the network; None: it is of none.

    Raises:
      ValueError: the number of class names is not the network's number of classes.
    """

    network: tf.keras.Model
    class_names: Sequence[str]
    image_size: int
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pictures: np.ndarray | None = None
    config: Config | None = None

    def __post_init__(self) -> None:
        classes = self.network.outputs[1].shape[-1]
        if classes != len(self.class_names):
            raise ValueError(
                f"{len(self.class_names)} class names for a network of {classes} classes"
            )

    @functools.cached_property
    def references(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Images and the network's probabilities by kind, see the function `references`."""
        return references(self.network, self.image_size, self.pictures)


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of exports.

    Attributes:
      name: as in --format, and of the folder.
      title: its name in sentences.
      mark: the file that only folders of this format have.
      beside: folder within it for labels.txt and info.json.
      write: (trained, folder) writes it.
      answers: (folder, images uint8 [B, S, S, 3]) -> probabilities [B, C] for each way of asking,
        such as a signature.
      tolerance: how far they may be from the network's.
      interface: its inputs and outputs, in a sentence or two, {size} being S.
      example: Python that uses it, for the card, {folder} being the folder's name.
      card: the card's file; `HUB_CARD` begins with Hugging Face's metadata.
    """

    name: str
    title: str
    mark: str
    beside: str
    write: Callable[[Trained, Path], None]
    answers: Callable[[Path, np.ndarray], Mapping[str, np.ndarray]]
    tolerance: Tolerance
    interface: str
    example: str
    card: str = CARD

    def check_pictures(self, pictures: np.ndarray | None) -> None:
        """Checks that there are pictures enough, before anything is written.

        Args:
          pictures: uint8 [M, S, S, 3]; None: not at hand.

        Raises:
          InputError: there are fewer than the format needs.
        """
        count, least = 0 if pictures is None else len(pictures), self.tolerance.pictures
        if count < least:
            there = f"{count} different ones are" if count else "those of the training are not"
            raise InputError(
                f"{self.name} is calibrated and checked on real pictures, {least} or more, and "
                f"{there} at hand. Give --representative=FOLDER of some hundred face crops like "
                "those that the network will see."
            )


Card = Callable[[Format, Mapping[str, Comparison]], str]


def write_export(
    kind: Format, trained: Trained, folder: str | Path, card: Card | None = None
) -> dict[str, Comparison]:
    """Writes an export, loads it and compares it with the network; only then names it.

    Args:
      kind: the format.
      trained: the network and its names.
      folder: an earlier export of the same format there is replaced.
      card: makes the text of the card; None: there is none.

    Returns:
      The comparisons, by kind of images.

    Raises:
      InputError: the folder holds something else, the format cannot hold this network, or there
        are too few pictures.
      RuntimeError: what was written does not answer as the network does.
    """
    kind.check_pictures(trained.pictures)
    with told_when_full(folder), _new_folder(Path(folder), kind) as written:
        kind.write(trained, written)
        beside = written / kind.beside
        beside.mkdir(exist_ok=True)
        labels = "".join(f"{name}\n" for name in trained.class_names)
        (beside / "labels.txt").write_text(labels, encoding="utf-8")
        (beside / "info.json").write_text(
            json.dumps(content(trained), indent=2, default=str) + "\n"
        )
        checks = checked(
            trained.references, lambda images: kind.answers(written, images), kind.tolerance
        )
        write_checksums(written)
        if card:  # It is for people, who may edit it: it has no checksum.
            (written / kind.card).write_text(card(kind, checks), encoding="utf-8")
    return checks


def public_name(path: str) -> str:
    """Shortens a path for the public: relative ones stay, of others the last part is left."""
    parts = PurePosixPath(path.replace("\\", "/"))
    private = parts.is_absolute() or ".." in parts.parts or ":" in path or path.startswith("~")
    return parts.name if private else path


def content(trained: Trained) -> dict[str, Any]:
    """Returns the content of info.json."""
    own = {"class_names": list(trained.class_names), "image_size": trained.image_size}
    return values_without_home(dict(trained.info)) | own


def fixed_size(trained: Trained, dtype: tf.DType) -> tf.Module:
    """Returns a module whose `of_images` takes images [batch, S, S, 3] of that type alone."""

    def of_images(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": probabilities(trained.network, tf.cast(images, tf.float32))}

    side = trained.image_size
    module = tf.Module(name="facial_expression")
    module.network_variables = list(trained.network.variables)
    module.of_images = tf.function(
        of_images, input_signature=[tf.TensorSpec([None, side, side, 3], dtype, "images")]
    )
    return module


def references(
    network: tf.keras.Model, image_size: int, pictures: np.ndarray | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Computes a network's answers, to compare its exports with.

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
    """Yields the images in parts of at most 32, with a bar if that takes longer than 2 seconds."""
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
      answers: images [B, S, S, 3] -> the export's probabilities [B, C] for each way of asking.
      tolerance: of the format.

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
    """Returns sentences on a kept export that is, or may be, less like the network than it should.

    What they say begins with the export's name.
    """
    real = checks.get("real pictures")
    if real is None:
        return []
    texts = []
    if real.images < tolerance.good_pictures:
        texts.append(
            f"was calibrated and checked on {real.images} different pictures alone: it may be "
            "further from the network than they show. Give "
            f"{tolerance.good_pictures} or more by --representative=FOLDER."
        )
    if real.mean <= tolerance.good_mean and real.agreement >= tolerance.good_agreement:
        return texts
    return [
        *texts,
        f"names the network's class for {real.agreement:.1%} of {real.images} real pictures, and "
        f"its probabilities are off by {real.mean:.2g} on average (good would be "
        f"{tolerance.good_agreement:.0%} and {tolerance.good_mean:g}): calibrate it on more "
        "pictures like those it will see, --representative=FOLDER, or use --format=tflite.",
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


def _is_strange(folder: Path, kind: Format) -> bool:
    """Says whether a folder, or a file in its place, holds something but no export of a kind."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:  # not yet there, or another export is just replacing it
        return False
    except NotADirectoryError:
        return True
    return bool(entries) and not any(e.name == kind.mark and e.is_file() for e in entries)


@contextlib.contextmanager
def _new_folder(folder: Path, kind: Format) -> Iterator[Path]:
    """Yields a folder to fill; it takes the place of `folder` if the block succeeds."""
    if _is_strange(folder, kind):
        raise InputError(
            f"{folder} holds something that is not a {kind.title} and would be lost. "
            "Give --output_dir another folder."
        )
    made_folder(folder.parent)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        written = Path(temporary) / "new"
        written.mkdir()
        yield written
        old = Path(temporary) / "old"
        try:
            if folder.exists():
                folder.rename(old)
            written.rename(folder)
        except OSError as error:
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise InputError(
                f"{folder} cannot be replaced: {error.strerror}. If another export wrote it "
                "meanwhile, that one is whole; else correct its permissions."
            ) from error
