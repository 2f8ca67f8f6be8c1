"""Networks of `build_network` and images for them, for the tests of the networks."""

import numpy as np
import tensorflow as tf

from ldl_fer.config.settings import NetworkConfig
from ldl_fer.networks.network import build_network

layers = tf.keras.layers


def network_of(backbone, image_size=32, seed=0, **settings):
    return build_network(NetworkConfig(backbone=str(backbone), **settings), image_size, 7, seed)


def images_of(size=32, batch=4, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, [batch, size, size, 3]).astype("float32")


def pixels_of(*args, **settings):
    """The same images as the network takes them."""
    return images_of(*args, **settings) * 127.5 + 127.5


def randomize(model, seed=0):
    """Gives every variable, moving statistics included, a value unlike its first."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        low, high = (0.5, 1.5) if "variance" in variable.name else (-0.5, 0.5)
        variable.assign(rng.uniform(low, high, variable.shape))
    return model


def multiply_adds(model):
    """Of all convolutions: output pixels times kernel entries (x channels if depthwise)."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            kernel = next(v for v in layer.weights if "kernel" in v.name)
            total += np.prod(layer.output_shape[1:3]) * np.prod(kernel.shape)
    return total
