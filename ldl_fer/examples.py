"""One sample as a serialized tf.train.Example: the schema, written once, and its two directions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def _schema(num_neighbors: int, num_classes: int) -> dict[str, tf.io.FixedLenFeature]:
    """Every feature of a record. A change here is a new `manifest.SCHEMA_VERSION`."""
    feature = tf.io.FixedLenFeature
    return {
        "image": feature([], tf.string),
        "label": feature([], tf.int64),
        "valence_arousal": feature([2], tf.float32),
        "sample_id": feature([], tf.int64),
        "neighbors": feature([num_neighbors], tf.int64),
        "neighbor_labels": feature([num_neighbors], tf.int64),
        "neighbor_valence_arousal": feature([num_neighbors, 2], tf.float32),
        "votes": feature([num_classes], tf.float32),
    }


def encode_example(example: dict[str, Any]) -> bytes:
    """Serializes one sample. Inverse: `decode_examples`.

    A record holds all that a training step needs to know of the sample's neighbors, except their
    images. K is the length of `neighbors`, C that of `votes`.

    Args:
      example: image (bytes, an encoded picture), label (integer in [0, C)), valence_arousal [2] in
        [-1, 1], sample_id (integer), neighbors [K] (sample_ids), neighbor_labels [K],
        neighbor_valence_arousal [K, 2], votes [C] (zeros where there are none).

    Raises:
      ValueError: for a feature that is missing, unknown or of another shape.
    """
    lengths = (len(example.get(name, ())) for name in ("neighbors", "votes"))
    schema = _schema(*lengths)
    if example.keys() != schema.keys():
        raise ValueError(f"an example holds {', '.join(schema)}; not {', '.join(example)}")
    features = {}
    for name, feature in schema.items():
        value = example[name]
        if list(np.shape(value)) != feature.shape:
            raise ValueError(f"{name} has shape {np.shape(value)}, not {tuple(feature.shape)}")
        features[name] = _feature(value, feature.dtype)
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString(deterministic=True)


def decode_examples(
    serialized: tf.Tensor,
    num_neighbors: int,
    num_classes: int,
    names: Sequence[str] | None = None,
) -> dict[str, tf.Tensor]:
    """Parses a batch of samples. Inverse of `encode_example`.

    Args:
      serialized: [M] string.
      num_neighbors: K of the records.
      num_classes: C of the records.
      names: the features wanted, to spare the others' parsing; None: all.

    Returns:
      image [M] string (encoded), label [M], valence_arousal [M, 2], sample_id [M],
      neighbors [M, K], neighbor_labels [M, K], neighbor_valence_arousal [M, K, 2], votes [M, C];
      int32 and float32.

    Raises:
      tf.errors.InvalidArgumentError: for another K or C, or bytes that are no such record.
    """
    schema = _schema(num_neighbors, num_classes)
    wanted = schema if names is None else {name: schema[name] for name in names}
    parsed = tf.io.parse_example(serialized, wanted)
    return {
        name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value
        for name, value in parsed.items()
    }


def _feature(value: Any, dtype: tf.DType) -> tf.train.Feature:
    if dtype == tf.string:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    values = np.ravel(value).tolist()
    if dtype == tf.int64:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
