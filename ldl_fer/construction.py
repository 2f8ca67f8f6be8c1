"""What a run knows of its training set: predictions, and the target distributions of LDLVA."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from ldl_fer.annotations import NEIGHBORS
from ldl_fer.classifier import Classifier
from ldl_fer.config import Config
from ldl_fer.model import LDLVA
from ldl_fer.neighbor_pass import Neighbors
from ldl_fer.pipeline import ordered_dataset, steps_per_epoch
from ldl_fer.splits import AnyRecords


def construct_samples(
    model: Classifier, records: AnyRecords, config: Config, folder: Path, progress: bool = True
) -> pd.DataFrame:
    """What a network says of every training sample, and LDLVA's target distributions.

    Two passes: features and probabilities of all images, not augmented, in evaluation mode; then,
    for LDLVA, Eq. 3-6 by look-up. Features lie in a temporary file, so that memory does not grow
    with V N.

    Args:
      model: trained.
      records: its training set.
      config: the run's settings.
      folder: where the temporary file goes.
      progress: whether to show a progress bar.

    Returns:
      A row per sample: `sample_id`, the annotation's other columns, and the network's
      `probability_*` per class. For LDLVA also `uncertainty`, per class `aggregated_*` (d~) and
      `target_*` (d), and `neighbors`, `calibration` and `contribution` as K numbers joined by ';'.
    """
    table = records.annotations().table.drop(columns=NEIGHBORS, errors="ignore")
    table = table.assign(sample_id=np.arange(len(table)))
    with tempfile.TemporaryFile(dir=folder) as file:
        features = np.memmap(file, np.float32, "w+", shape=(len(records), model.feature_size))
        probabilities = np.zeros([len(records), model.num_classes], np.float32)
        predict = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
        dataset = ordered_dataset(records, config)
        for batch in _progress(dataset, records, config, "features of all samples", progress):
            ids = batch["sample_id"].numpy()
            batch_features, logits = predict(batch["image"])
            features[ids], probabilities[ids] = batch_features, tf.nn.softmax(logits)
        columns = _per_class("probability", probabilities, config)
        if isinstance(model, LDLVA):
            columns |= _constructed(model, records, config, features, probabilities, progress)
        del features
    # A samples.csv of an earlier run is an annotation file, too.
    table = table.drop(columns=columns.keys(), errors="ignore")
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def _constructed(model, records, config, features, probabilities, progress):
    """Columns of what LDLVA makes of a label."""
    construct = tf.function(
        lambda batch, own, neighbors: model.construct(batch, own, neighbors, training=False),
        reduce_retracing=True,
    )
    made, kept = [], []
    dataset = ordered_dataset(records, config, neighbors=True, images=False)
    for batch in _progress(dataset, records, config, "target distributions", progress):
        ids, others = batch["sample_id"].numpy(), batch["neighbors"].numpy()
        neighbors = Neighbors(
            tf.constant(features[others]),
            tf.constant(probabilities[others]),
            tf.ones(others.shape),
        )
        kept += others.tolist()
        made.append(construct(batch, tf.constant(features[ids]), neighbors))
    calibration, contribution, aggregated, uncertainty, target = (
        np.concatenate(values) for values in zip(*made, strict=True)
    )
    columns = {"uncertainty": uncertainty}
    columns |= _per_class("aggregated", aggregated, config)
    columns |= _per_class("target", target, config)
    columns["neighbors"] = [";".join(map(str, row)) for row in kept]
    for name, values in {"calibration": calibration, "contribution": contribution}.items():
        columns[name] = [";".join(f"{value:.5f}" for value in row) for row in values]
    return columns


def _per_class(part, values, config):
    names = config.data.class_names
    return {f"{part}_{name.lower()}": values[:, j] for j, name in enumerate(names)}


def _progress(dataset, records, config, text, show):
    total = steps_per_epoch(len(records), config.optimizer.batch_size)
    return tqdm(dataset, text, total, unit="batch", disable=not show)
