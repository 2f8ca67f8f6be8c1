"""A small network for 48-pixel faces that trains from scratch on a CPU.

0.25 million parameters and 16 million multiply-adds for 48 pixels.
"""

import tensorflow as tf

from ldl_fer.errors import InputError

layers = tf.keras.layers

_SMALLEST = 32


def small_cnn(image_size: int) -> tf.keras.Model:
    """Images [B, H, W, 3] in [-1, 1] -> features [B, 128], >= 0.

    Raises:
      InputError: an image below 32 pixels.
    """
    if image_size < _SMALLEST:
        raise InputError(
            f"--image_size={image_size} is too small for small_cnn; {_SMALLEST} is the least."
        )
    images = tf.keras.Input([image_size, image_size, 3])
    x = _convolution(images, 32, 2, "stem")
    x = _convolution(x, 32, 1, "conv1")
    x = layers.MaxPooling2D(name="pool1")(x)
    x = _convolution(x, 64, 1, "conv2")
    x = layers.MaxPooling2D(name="pool2")(x)
    x = _convolution(x, 128, 1, "conv3")
    x = _convolution(x, 128, 1, "conv4")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return tf.keras.Model(images, x, name="backbone")


def _convolution(x, filters: int, stride: int, name: str):
    """3 x 3 convolution, batch normalization, ReLU."""
    x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
