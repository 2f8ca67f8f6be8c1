"""A network on a set of images: predictions, metrics, and the files and table that show them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax
from tqdm import tqdm

from ldl_fer import plots
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole
from ldl_fer.metrics import classification_metrics, confusion, distribution_metrics
from ldl_fer.told_paths import told

if TYPE_CHECKING:
    import tensorflow as tf

_TITLES = {
    "accuracy": "accuracy",
    "mean_class_accuracy": "mean class accuracy",
    "macro_f1": "macro F1",
    "cohen_kappa": "Cohen's kappa",
    "nll": "negative log-likelihood (nats)",
    "expected_calibration_error": "expected calibration error",
    "kl": "KL(votes || network) (nats)",
    "jensen_shannon": "Jensen-Shannon divergence (nats)",
    "chebyshev": "Chebyshev distance",
    "cosine": "cosine similarity",
}


@dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Attributes:
      class_names: C names.
      metrics: of `classification_metrics`, and of `distribution_metrics` where there are votes.
      confusion: [C, C], images of the row's class that were taken for the column's.
      count: number of images.
      vote_count: number of images with votes, the ones behind the distribution metrics.
    """

    class_names: tuple[str, ...]
    metrics: dict[str, float]
    confusion: np.ndarray
    count: int
    vote_count: int = 0

    def per_class(self) -> dict[str, np.ndarray]:
        """`recall`, `precision`, `f1` in [0, 1] and `support` in images, each [C].

        NaN where undefined: recall of a class without images, precision of one never predicted,
        F1 of one that is both.
        """
        hits, support = np.diag(self.confusion), self.confusion.sum(axis=1)
        predicted = self.confusion.sum(axis=0)
        return {
            "recall": _divide(hits, support),
            "precision": _divide(hits, predicted),
            "f1": _divide(2 * hits, support + predicted),
            "support": support,
        }


def predict(
    network: "tf.keras.Model",
    dataset: "tf.data.Dataset",
    progress: bool = True,
    features: bool = False,
) -> dict[str, np.ndarray]:
    """Runs a network over a data set, once, in evaluation mode.

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
) -> Result:
    """All metrics of a network on a data set.

    Args:
      network, dataset, progress: as `predict` takes them.
      class_names: C names.
      votes: [N, C], votes of humans, the row being the sample_id; a row may be all zeros.

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
            f"for sample {found['sample_ids'][bad][0]}: its training diverged. Choose an earlier "
            "checkpoint, or train with a smaller --learning_rate."
        )
    metrics, rows = classification_metrics(labels, probabilities), 0
    if votes is not None:
        metrics |= distribution_metrics(_votes_of(found["sample_ids"], votes), probabilities)
        rows = int(metrics.pop("rows"))
    matrix = confusion(labels, probabilities)
    return Result(tuple(class_names), metrics, matrix, len(labels), rows)


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


def evaluate_run(
    run_dir: str | Path,
    data_path: str,
    image_dir: str,
    which: str = "best",
    output_dir: str | Path | None = None,
    progress: bool = True,
    network: "tf.keras.Model | None" = None,
    trust_model: bool = False,
    on_bad_image: str | None = None,
) -> Result:
    """Evaluates the network of a run and writes result.json and confusion_matrix.png.

    Args:
      run_dir: the run folder.
      data_path: annotation CSV, or a folder of shards.
      image_dir: folder that the CSV's paths start from.
      which: "best" or "last" epoch's network.
      output_dir: where the files go; None: the run folder.
      progress: whether to show a progress bar.
      network: of `runs.load_network`, to be filled with those weights; None: it is built.
      trust_model: see `runs.load_network`.
      on_bad_image: "fail" or "skip"; None: as the run.

    Raises:
      InputError: no such run, or data that cannot be read or does not fit it.
    """
    from ldl_fer.backbones import trained_part
    from ldl_fer.pipeline import ordered_dataset
    from ldl_fer.runs import Run, load_network
    from ldl_fer.splits import opener

    network, config = load_network(run_dir, which, network, trust_model)
    data = config.replace(on_bad_image=on_bad_image or config.data.on_bad_image).data
    records = opener(network, config.network.frozen)(data, data_path, image_dir, 0)
    votes = records.annotations().votes
    dataset = ordered_dataset(records, config)
    result = evaluate(trained_part(network), dataset, records.class_names, votes, progress)
    extra = {
        "data_path": told(data_path),
        "annotations_sha256": records.annotations().fingerprint(),
        "weights": which,
        "best": Run(run_dir).best(),
        "select_on_test": config.data.select_on_test,
    }
    write_result(result, output_dir or run_dir, extra)
    return result


def write_result(
    result: Result, folder: str | Path, extra: Mapping[str, Any] | None = None
) -> Path:
    """Writes result.json and confusion_matrix.png, each whole or not at all.

    Args:
      result: of `evaluate`.
      folder: made if missing; earlier files of these names are replaced.
      extra: what else the JSON holds at its top level: data path, checkpoint, ...

    Returns:
      The path of result.json.

    Raises:
      ValueError: a name in `extra` is one of the result's own.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    per_class = {name: values.tolist() for name, values in result.per_class().items()}
    content = {
        "metrics": result.metrics,
        "count": result.count,
        "vote_count": result.vote_count,
        "class_names": list(result.class_names),
        "per_class": {
            name: {key: _or_none(values[j]) for key, values in per_class.items()}
            for j, name in enumerate(result.class_names)
        },
        "confusion": result.confusion.tolist(),
    }
    taken = content.keys() & (extra or {}).keys()
    if taken:
        raise ValueError(f"extra uses names of the result itself: {', '.join(sorted(taken))}")
    content = dict(extra or {}) | content
    text = json.dumps(content, indent=2, default=str, allow_nan=False) + "\n"
    figure = plots.confusion_matrix(result.confusion, result.class_names)
    plots.save_figure(figure, folder / "confusion_matrix.png")
    write_whole(folder / "result.json", text)
    return folder / "result.json"


def format_table(result: Result) -> str:
    """The result for a terminal: metrics, then a row per class. At most 80 columns."""
    votes = f", {result.vote_count:,} of them with votes" if result.vote_count else ""
    lines = [f"{result.count:,} images{votes}", ""]
    lines += [f"{_TITLES.get(name, name):<34}{v:>10.4f}" for name, v in result.metrics.items()]
    width = min(max(map(len, ("class", *result.class_names))), 34)
    lines += ["", f"{'class':<{width}}" + "".join(f"{name:>11}" for name in result.per_class())]
    for name, *values in zip(result.class_names, *result.per_class().values(), strict=True):
        *rates, support = values
        cells = "".join(f"{'-':>11}" if np.isnan(v) else f"{v:>11.4f}" for v in rates)
        lines.append(f"{name[:width]:<{width}}{cells}{support:>11,}")
    return "\n".join(lines)


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
