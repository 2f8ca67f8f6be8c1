"""A small residual network for 48-pixel faces that trains from scratch on a CPU."""

import tensorflow as tf

from ldl_fer.networks.resnet import check_size

layers = tf.keras.layers

_STEM = 16
_WIDTHS = (24, 48, 96, 160)


def small_cnn(image_size: int) -> tf.keras.Model:
    """Builds images [B, H, W, 3] in [-1, 1] -> features [B, 160], >= 0.

    A strided stem and four residual blocks, each of the last three at half the resolution of the
    one before: 0.56 million parameters, 18 million multiply-adds at 48 pixels.

    Raises:
      InputError: an image below 32 pixels.
    """
    check_size(image_size, "small_cnn")
    images = tf.keras.Input([image_size, image_size, 3])
    x = layers.ReLU(name="stem_relu")(_normalized(images, _STEM, 3, 2, "stem"))
    for index, filters in enumerate(_WIDTHS, start=1):
        x = _block(x, filters, 1 if index == 1 else 2, f"block{index}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return tf.keras.Model(images, x, name="backbone")


def _block(x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
    """Applies two 3 x 3 convolutions beside an average-pooled 1 x 1 one."""
    y = layers.ReLU(name=f"{name}_relu1")(_normalized(x, filters, 3, stride, f"{name}_conv1"))
    y = _normalized(y, filters, 3, 1, f"{name}_conv2")
    if stride > 1:
        x = layers.AveragePooling2D(stride, padding="same", name=f"{name}_pool")(x)
    x = _normalized(x, filters, 1, 1, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, y]))


def _normalized(x: tf.Tensor, filters: int, size: int, stride: int, name: str) -> tf.Tensor:
    x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
