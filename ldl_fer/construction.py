"""The target distributions of a whole training set: what a run knows of its labels."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from ldl_fer.config import Config
from ldl_fer.model import LDLVA, Neighbors
from ldl_fer.pipeline import ordered_dataset, steps_per_epoch
from ldl_fer.records import Records


def construct_samples(
    model: LDLVA, records: Records, config: Config, folder: Path, progress: bool = True
) -> pd.DataFrame:
    """Constructs every training sample's target distribution with the network as it is.

    Two passes: features and probabilities of all images, not augmented, in evaluation mode; then
    Eq. 3-6 by look-up. Features lie in a temporary file, so that memory does not grow with V N.

    Args:
      model: trained.
      records: its training set.
      config: the run's settings.
      folder: where the temporary file goes.
      progress: whether to show a progress bar.

    Returns:
      A row per sample: `sample_id`, the annotation's columns, `uncertainty`, and per class
      `probability_*` (the network's), `aggregated_*` (d~) and `target_*` (d); `neighbors`,
      `calibration` and `contribution` as K numbers joined by ';'.
    """
    names = [name.lower() for name in config.data.class_names]
    dataset = ordered_dataset(records, config)
    with tempfile.TemporaryFile(dir=folder) as file:
        features = np.memmap(
            file, np.float32, "w+", shape=(len(records), model.network.outputs[0].shape[-1])
        )
        probabilities = np.zeros([len(records), len(names)], np.float32)
        predict = tf.function(lambda images: model(images, training=False))
        for batch in _progress(dataset, records, config, "features of all samples", progress):
            ids = batch["sample_id"].numpy()
            batch_features, logits = predict(batch["image"])
            features[ids], probabilities[ids] = batch_features, tf.nn.softmax(logits)
        construct = tf.function(
            lambda batch, own, neighbors: model.construct(batch, own, neighbors, training=False)
        )
        made = []
        dataset = ordered_dataset(records, config, neighbors=True, images=False)
        for batch in _progress(dataset, records, config, "target distributions", progress):
            ids, others = batch["sample_id"].numpy(), batch["neighbors"].numpy()
            neighbors = Neighbors(
                tf.constant(features[others]),
                tf.constant(probabilities[others]),
                tf.ones(others.shape),
            )
            made.append(construct(batch, tf.constant(features[ids]), neighbors))
        del features
    calibration, contribution, aggregated, uncertainty, target = (
        np.concatenate(values) for values in zip(*made, strict=True)
    )
    table = records.annotations().table.drop(columns="knn", errors="ignore")
    table = table.assign(sample_id=np.arange(len(table)), uncertainty=uncertainty)
    parts = {"probability": probabilities, "aggregated": aggregated, "target": target}
    columns = {
        f"{part}_{name}": values[:, j]
        for part, values in parts.items()
        for j, name in enumerate(names)
    }
    kept = records.annotations().neighbors[:, : config.data.num_neighbors]
    columns["neighbors"] = [";".join(map(str, row)) for row in kept]
    for name, values in {"calibration": calibration, "contribution": contribution}.items():
        columns[name] = [";".join(f"{value:.5f}" for value in row) for row in values]
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def _progress(dataset, records, config, text, show):
    total = steps_per_epoch(len(records), config.optimizer.batch_size)
    return tqdm(dataset, text, total, unit="batch", disable=not show)
