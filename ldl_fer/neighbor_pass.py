"""What the network says of neighbors when their images are run through it."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Neighbors(NamedTuple):
    """What the network says of each sample's neighbors; no gradient flows into it."""

    features: tf.Tensor  # [B, K, V]
    probabilities: tf.Tensor  # [B, K, C]
    seen: tf.Tensor  # [B, K], 1 or 0; a neighbor not seen yet contributes nothing


class NeighborPass:
    """Runs a network on the neighbors' images, outside of any tape."""

    def __init__(self, run_network: Callable[..., tuple[tf.Tensor, tf.Tensor]]) -> None:
        """Takes images [M, H, W, 3] -> (features [M, V], logits [M, C])."""
        self.run_network = run_network

    def __call__(self, neighbor_images: tf.Tensor, training: bool = True) -> Neighbors:
        """Images [B, K, H, W, 3]; `training` is the network's mode."""
        passed = self.run_network(_flat_images(neighbor_images), training=training)
        return _as_neighbors(tf.shape(neighbor_images), *passed)

    def merged(self, neighbor_images: tf.Tensor, sample_ids: tf.Tensor) -> Neighbors:
        """The same in training for images that depend on the sample_id [B, K]: each runs once."""
        distinct, place = tf.unique(tf.reshape(sample_ids, [-1]))
        positions = tf.range(tf.size(place))
        first = tf.math.unsorted_segment_min(positions, place, tf.size(distinct))
        passed = self.run_network(tf.gather(_flat_images(neighbor_images), first), training=True)
        passed = (tf.gather(values, place) for values in passed)
        return _as_neighbors(tf.shape(neighbor_images), *passed)


def mixes_images(network: tf.keras.Model) -> bool:
    """Whether a layer does in training what it does not do else, as batch normalization does."""
    plain = (layer for layer in network.submodules if not isinstance(layer, tf.keras.Model))
    layers = (layer for layer in plain if isinstance(layer, tf.keras.layers.Layer))
    return any("training" in inspect.signature(layer.call).parameters for layer in layers)


def _as_neighbors(shape, features, logits):
    return Neighbors(
        tf.reshape(features, [shape[0], shape[1], features.shape[-1]]),
        tf.reshape(tf.nn.softmax(logits), [shape[0], shape[1], logits.shape[-1]]),
        tf.ones(shape[:2]),
    )


def _flat_images(images):
    """[B, K, H, W, 3] -> [B K, H, W, 3]."""
    flat = tf.reshape(images, tf.concat([[-1], tf.shape(images)[2:]], 0))
    return tf.ensure_shape(flat, [None, *images.shape[2:]])
