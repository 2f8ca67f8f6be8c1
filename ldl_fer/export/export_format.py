"""What a format is, and the way that all of them are written: whole, checked, or not at all."""

import contextlib
import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.checksums import write_checksums
from ldl_fer.errors import InputError
from ldl_fer.export.check import Comparison, Tolerance, checked, references
from ldl_fer.networks.saved_model import probabilities
from ldl_fer.told_paths import told_values

CARD = "MODEL_CARD.md"


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """What is exported.

    Attributes:
      network: images [B, S, S, 3], 0 to 255 -> (features [B, V], logits [B, C]).
      class_names: C names.
      image_size: S, pixels.
      info: what else info.json says, such as the backbone and its validation accuracy.
      pictures: uint8 [M, S, S, 3], real ones, to compare on and to calibrate by; None: not at hand.

    Raises:
      ValueError: the number of class names is not the network's number of classes.
    """

    network: tf.keras.Model
    class_names: Sequence[str]
    image_size: int
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pictures: np.ndarray | None = None

    def __post_init__(self) -> None:
        classes = self.network.outputs[1].shape[-1]
        if classes != len(self.class_names):
            raise ValueError(
                f"{len(self.class_names)} class names for a network of {classes} classes"
            )

    @functools.cached_property
    def references(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Images by kind, and the network's probabilities for them, see `check.references`."""
        return references(self.network, self.image_size, self.pictures)


@dataclasses.dataclass(frozen=True)
class Format:
    """A way to hand on a network.

    Attributes:
      name: as in --format, and of the folder.
      title: what to call it.
      mark: the file that tells such a folder from any other.
      beside: folder within it for labels.txt and info.json.
      write: (trained, folder) writes it.
      answers: (folder, images uint8 [B, S, S, 3]) -> by way of asking, probabilities [B, C].
      tolerance: how far the answers may be from the network's.
      interface: what goes in and comes out, in a sentence or two, {size} being S.
      example: Python that uses it, for the card, {folder} being the folder's name.
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


Card = Callable[[Format, Mapping[str, Comparison]], str]


def write_export(
    kind: Format, trained: Trained, folder: str | Path, card: Card | None = None
) -> dict[str, Comparison]:
    """Writes an export, loads it and compares it with the network; only then names it.

    Args:
      kind: which format.
      trained: what is exported.
      folder: an earlier export of the same format there is replaced.
      card: makes the text of MODEL_CARD.md; None: there is none.

    Returns:
      The comparisons, by kind of images.

    Raises:
      InputError: the folder holds something else, or the format cannot hold this network.
      RuntimeError: what was written does not answer as the network does.
    """
    with _new_folder(Path(folder), kind) as written:
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
            (written / CARD).write_text(card(kind, checks), encoding="utf-8")
    return checks


def content(trained: Trained) -> dict[str, Any]:
    """What info.json says."""
    own = {"class_names": list(trained.class_names), "image_size": trained.image_size}
    return told_values(dict(trained.info)) | own


def fixed_size(trained: Trained, dtype: tf.DType) -> tf.Module:
    """A module whose `of_images` takes images [batch, S, S, 3] of that type, and no others."""

    def of_images(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": probabilities(trained.network, tf.cast(images, tf.float32))}

    side = trained.image_size
    module = tf.Module(name="facial_expression")
    module.network_variables = list(trained.network.variables)
    module.of_images = tf.function(
        of_images, input_signature=[tf.TensorSpec([None, side, side, 3], dtype, "images")]
    )
    return module


@contextlib.contextmanager
def _new_folder(folder: Path, kind: Format) -> Iterator[Path]:
    """A folder to fill; it takes the place of `folder` if the block succeeds."""
    replaced = folder.exists()
    empty = folder.is_dir() and not any(folder.iterdir())
    if replaced and not empty and not (folder / kind.mark).is_file():
        raise InputError(
            f"{folder} holds something that is not a {kind.title} and would be lost. "
            "Give --output_dir another folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        written = Path(temporary) / "new"
        written.mkdir()
        yield written
        if replaced:
            folder.rename(Path(temporary) / "old")
        written.rename(folder)
