"""samples.csv: a network's predictions for its training set, and the method's own columns."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotations import NEIGHBORS
from ldl_fer.data.pipeline import ordered_dataset, steps_per_epoch
from ldl_fer.data.samples import columns_of_runs
from ldl_fer.data.sets import AnyRecords
from ldl_fer.files import allocate
from ldl_fer.methods import neighbors_read
from ldl_fer.methods.classifier import Batch, Classifier, per_class


def construct_samples(
    model: Classifier, records: AnyRecords, config: Config, folder: Path, progress: bool = True
) -> pd.DataFrame:
    """Predicts every training sample, and adds the columns of the method.

    Two passes: features and probabilities of all images, not augmented, in evaluation mode; then
    what the method makes of them by look-up. Features lie in a temporary file, so that memory does
    not grow with V N.

    Args:
      model: trained.
      records: its training set.
      config: the run's settings.
      folder: where the temporary file goes.
      progress: whether to show a progress bar.

    Returns:
      A row per sample: `sample_id`, the annotation's other columns, the network's `probability_*`
      per class, and those of `Classifier.columns_of_samples`.
    """
    names = config.data.class_names
    # A samples.csv of an earlier run is an annotation file, too.
    former = [NEIGHBORS, *columns_of_runs(names)]
    table = records.annotations().table.drop(columns=former, errors="ignore")
    table = table.assign(sample_id=np.arange(len(table)))
    with tempfile.TemporaryFile(dir=folder) as file:
        features = np.memmap(file, np.float32, "w+", shape=(len(records), model.feature_size))
        allocate(file.fileno())
        probabilities = np.zeros([len(records), model.num_classes], np.float32)
        predict = tf.function(lambda images: model(images, training=False), reduce_retracing=True)
        for batch in _batches(records, config, "features of all samples", progress):
            ids = batch["sample_id"].numpy()
            batch_features, logits = predict(batch["image"])
            features[ids], probabilities[ids] = batch_features, tf.nn.softmax(logits)
        columns = per_class("probability", probabilities, names)
        batches = _batches(
            records, config, "target distributions", progress, neighbors_read(config), False
        )
        columns |= model.columns_of_samples(batches, features, probabilities, names)
        del features
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def _batches(
    records: AnyRecords,
    config: Config,
    text: str,
    progress: bool,
    neighbors: int = 0,
    images: bool = True,
) -> Iterator[Batch]:
    """Every sample once, with a progress bar; nothing is read before the first batch."""
    dataset = ordered_dataset(records, config, neighbors, images)
    total = steps_per_epoch(len(records), config.optimizer.batch_size)
    yield from tqdm(dataset, text, total, unit="batch", disable=not progress)
