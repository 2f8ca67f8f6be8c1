"""Measures evaluation and the exported model, beside a bare forward pass of the network."""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import tensorflow as tf

from benchmarks.made_up_set import made_up_records
from benchmarks.timing import Row, compare, take_turns, timed
from ldl_fer.config import Config
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.pipeline import ordered_dataset
from ldl_fer.evaluation.evaluate import predict
from ldl_fer.inference.export import export_saved_model
from ldl_fer.training.build import build_model

CASES = {  # title: settings, batches
    "small_cnn 48 px": (PRESETS["small"], 64),
    "resnet50 112 px": (PRESETS["released_raf_resnet50"], 4),
}
_TARGET = 1.1


class FromSecond:
    """A data set that notes when its second batch is asked for: by then, all is compiled."""

    def __init__(self, dataset: tf.data.Dataset) -> None:
        """Reads nothing yet."""
        self._dataset = dataset
        self.asked: float | None = None

    def cardinality(self) -> tf.Tensor:
        """Returns the number of batches."""
        return self._dataset.cardinality()

    def __iter__(self) -> Iterator[dict[str, tf.Tensor]]:
        for number, batch in enumerate(self._dataset):
            if number == 1:
                self.asked = time.perf_counter()
            yield batch


def inference(
    folder: Path,
    turns: int = 8,
    steps: int = 0,
    *,
    cases: Mapping[str, tuple[Config, int]] = CASES,
    progress: bool = True,
) -> list[Row]:
    """Measures evaluation (read, decode, predict) and the export, beside a bare forward pass.

    `evaluate.predict` compiles the network at its start, whatever the number of images; its time
    counts from the second batch on.

    Args:
      folder: where made-up pictures and records go.
      turns: how often each variant has its turn.
      steps: batches in a turn, at least 2; 0: as the cases say.
      cases: title -> settings, and batches in a turn.
      progress: whether to show a progress bar.
    """
    rows = []
    for title, (config, batches) in cases.items():
        rows += _case(folder, turns, max(steps or batches, 2), title, config, progress)
    return rows


def _case(
    folder: Path, turns: int, batches: int, title: str, config: Config, progress: bool
) -> list[Row]:
    config = config.replace(method="cross_entropy")
    size, batch_size = config.data.image_size, config.optimizer.batch_size
    records = made_up_records(folder, batches * batch_size, size, 0, progress)
    network = build_model(config, records).network
    dataset = ordered_dataset(records, config)
    images = [batch["image"] for batch in dataset]
    forward = tf.function(lambda image: network(image, training=False)[1])

    @functools.cache
    def exported() -> Callable[..., dict[str, tf.Tensor]]:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary) / "saved_model"
            export_saved_model(network, path, config.data.class_names, size)
            return tf.saved_model.load(str(path)).signatures["serving_images"]

    def evaluation() -> float:
        watched = FromSecond(dataset)
        predict(network, watched, progress=False)
        assert watched.asked is not None  # there are two batches or more
        return (time.perf_counter() - watched.asked) / ((batches - 1) * batch_size)

    bare, count = f"bare forward pass, {title}", batches * batch_size
    variants = {
        bare: timed(lambda: [forward(image).numpy() for image in images], count),
        f"evaluation, {title}": evaluation,
        f"exported model, {title}": timed(
            lambda: [exported()(images=image)["probabilities"].numpy() for image in images], count
        ),
    }
    seconds = take_turns(variants, turns, f"inference, {title}", progress)
    targets = {(name, bare): _TARGET for name in variants if name != bare}
    return compare("inference", seconds, bare, targets, "image")
