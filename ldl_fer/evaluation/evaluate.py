"""Runs a network over a data set, computes its metrics, and evaluates the network of a run."""

import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import softmax

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.paths import places
from ldl_fer.errors import InputError
from ldl_fer.evaluation.metrics import (
    classification_metrics,
    confusion,
    distribution_metrics,
    reliability,
)
from ldl_fer.evaluation.result import Result, write_result
from ldl_fer.evaluation.temperature import scaled
from ldl_fer.files import without_home

if TYPE_CHECKING:
    import tensorflow as tf

    from ldl_fer.config import Config
    from ldl_fer.data.sets import AnyRecords
    from ldl_fer.training.run import Run


def predict(
    network: "tf.keras.Model",
    dataset: "tf.data.Dataset",
    progress: bool = True,
    features: bool = False,
) -> dict[str, np.ndarray]:
    """Predicts a data set by a network, once, in evaluation mode.

    Args:
      network: `tf.keras.Model`, images [B, H, W, 3] -> (features [B, V], logits [B, C]).
      dataset: `tf.data.Dataset` of dicts with `image`, `label` and `sample_id`, as
        `pipeline.ordered_dataset` gives them.
      progress: whether to show a progress bar.
      features: whether to keep the features too.

    Returns:
      Arrays in the data set's order: `probabilities` [N, C] float64, `labels` [N], `sample_ids` [N]
      and, if asked for, `features` [N, V] float32.

    Raises:
      InputError: the data set is empty.
    """
    import tensorflow as tf

    run = tf.function(lambda images: network(images, training=False), reduce_retracing=True)
    names = ["probabilities", "labels", "sample_ids"] + ["features"] * features
    parts = {name: [] for name in names}
    total = int(dataset.cardinality())
    bar = tqdm(
        dataset, "evaluation", total if total >= 0 else None, unit="batch", disable=not progress
    )
    for batch in bar:
        batch_features, logits = run(batch["image"])
        parts["probabilities"].append(softmax(logits.numpy().astype(np.float64), axis=-1))
        parts["labels"].append(batch["label"].numpy())
        parts["sample_ids"].append(batch["sample_id"].numpy())
        if features:
            parts["features"].append(batch_features.numpy())
    if not parts["labels"]:
        raise InputError("There are no images to evaluate: the data set is empty.")
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def evaluate(
    network: "tf.keras.Model",
    dataset: "tf.data.Dataset",
    class_names: tuple[str, ...],
    votes: np.ndarray | None = None,
    progress: bool = True,
    temperature: float = 1.0,
) -> Result:
    """Computes all metrics of a network on a data set.

    Args:
      network, dataset, progress: as `predict` takes them.
      class_names: C names.
      votes: [N, C], votes of humans, the row being the sample_id; a row may be all zeros.
      temperature: by which the network's distributions are scaled, see `temperature.scaled`.

    Raises:
      InputError: the data set is empty, the network's output is not finite or of another number of
        classes, the votes do not fit the data set or there are none.
    """
    found = predict(network, dataset, progress)
    labels, probabilities = found["labels"], found["probabilities"]
    if probabilities.shape[1] != len(class_names):
        raise InputError(
            f"The network tells {probabilities.shape[1]} classes apart, the data set has "
            f"{len(class_names)}: {', '.join(class_names)}. Evaluate it on data of its own classes."
        )
    bad = ~np.isfinite(probabilities).all(axis=1)
    if bad.any():
        raise InputError(
            f"The network's output is not finite for {bad.sum()} of {len(labels)} images, first "
            f"for sample {found['sample_ids'][bad][0]}: its training diverged. Try the best "
            "epoch's (--weights=best), or train with a smaller --learning_rate."
        )
    if temperature != 1.0:
        probabilities = scaled(probabilities, temperature)
    metrics, rows = classification_metrics(labels, probabilities), 0
    if votes is not None:
        metrics |= distribution_metrics(_votes_of(found["sample_ids"], votes), probabilities)
        rows = int(metrics.pop("rows"))
    matrix = confusion(labels, probabilities)
    bins = reliability(labels, probabilities)
    return Result(tuple(class_names), metrics, matrix, bins, len(labels), rows)


def open_data(
    network: "tf.keras.Model", config: "Config", data_path: str, image_dir: str
) -> "AnyRecords":
    """Opens a set for the network of a run.

    Args:
      network: of `networks.network.build_network`, by `config`.
      config: of the run; says what is done with pictures that cannot be read.
      data_path, image_dir: as `evaluate_run` takes them.

    Raises:
      InputError: data that cannot be read or does not fit the network.
    """
    from ldl_fer.data.sets import opener

    return opener(network, config.network.frozen)(config.data, data_path, image_dir, 0)


def evaluate_data(
    network: "tf.keras.Model",
    config: "Config",
    records: "AnyRecords",
    progress: bool = True,
    temperature: float = 1.0,
) -> Result:
    """Computes all metrics of a run's network on a set, human votes included if it has any.

    Args:
      network, config, progress, temperature: as `open_data` and `evaluate` take them.
      records: of `open_data`.

    Raises:
      InputError: as `evaluate`.
    """
    from ldl_fer.data.pipeline import ordered_dataset
    from ldl_fer.networks.head import trained_part

    dataset, part = ordered_dataset(records, config), trained_part(network)
    votes = records.annotations().votes
    return evaluate(part, dataset, records.class_names, votes, progress, temperature)


def evaluate_run(
    run_dir: str | os.PathLike,
    data_path: str | os.PathLike,
    image_dir: str | os.PathLike,
    which: str = "best",
    output_dir: str | os.PathLike | None = None,
    progress: bool = True,
    network: "tf.keras.Model | None" = None,
    trust_model: bool = False,
    on_bad_image: str | None = None,
    records: "AnyRecords | None" = None,
    temperature: float = 1.0,
) -> Result:
    """Evaluates the network of a run and writes result.json and two figures beside it.

    Args:
      run_dir: the run folder, or the `Run` that `train` returned.
      data_path: annotation CSV, or a folder of shards.
      image_dir: folder that the CSV's paths start from.
      which: "best" or "last" epoch's network.
      output_dir: where the files go; None: the run folder.
      progress: whether to show a progress bar.
      network: of `training.run.load_network`, to be filled with those weights; None: it is built.
      trust_model: see `training.run.load_network`.
      on_bad_image: "fail" or "skip"; None: as the run.
      records: that data, if `open_data` has opened it; None: it is opened.
      temperature: as `evaluate` takes it.

    Returns:
      The result that was written.

    Raises:
      InputError: no such run, or data that cannot be read or does not fit it.
    """
    from ldl_fer.training.run import Run, load_network

    data_path, image_dir = os.fspath(data_path), os.fspath(image_dir)
    network, config = load_network(run_dir, which, network, trust_model)
    config = config.replace(on_bad_image=on_bad_image or config.data.on_bad_image)
    records = records or open_data(network, config, data_path, image_dir)
    result = evaluate_data(network, config, records, progress, temperature)
    annotations = records.annotations()
    extra = {
        "data_path": without_home(data_path),
        "annotations_sha256": annotations.fingerprint(),
        "weights": which,
        "best": Run(run_dir).epoch("best"),
        "select_on_test": config.data.select_on_test,
    }
    write_result(result, output_dir or run_dir, extra)
    known = _trained_on(Run(run_dir), config, places(image_dir, annotations.paths))
    if progress and known:
        print(
            f"warning: {known:,} of the {result.count:,} pictures are those that the network was "
            "trained on; the numbers say nothing of new faces.",
            file=sys.stderr,
        )
    return result


def _trained_on(run: "Run", config: "Config", pictures: set[str]) -> int:
    """Counts those pictures that a run was trained on; 0 where its samples.csv is not there."""
    try:
        paths = pd.read_csv(run.samples_file, usecols=[PATH], dtype=str)[PATH]
    except (OSError, ValueError):
        return 0
    return len(pictures & places(config.data.train_image_dir, paths))


def _votes_of(sample_ids: np.ndarray, votes: np.ndarray) -> np.ndarray:
    votes = np.asarray(votes, np.float64)
    if votes.ndim != 2 or len(votes) <= sample_ids.max():
        raise InputError(
            f"There are votes for {len(votes)} samples, but the data set has a sample "
            f"{sample_ids.max()}: they are not of the same annotation file."
        )
    chosen = votes[sample_ids]
    if not chosen.any():
        raise InputError("The votes_* columns hold no vote: fill them or take them out.")
    return chosen
