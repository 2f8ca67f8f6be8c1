"""Residual networks (He et al., 2016): 18 and 34 layers here, 50 and more from Keras."""

from collections.abc import Callable

import tensorflow as tf

from ldl_fer.errors import InputError

layers = tf.keras.layers

SMALLEST = 32  # pixels: five halvings leave a map of 1 x 1
# The ImageNet weights were trained on 0-255 minus these means, here in RGB order.
_CAFFE_MEANS = (123.68, 116.779, 103.939)


def resnet18(image_size: int) -> tf.keras.Model:
    """Builds images [B, H, W, 3] in [-1, 1] -> features [B, 512]; InputError below 32 pixels."""
    return _basic_resnet((2, 2, 2, 2), image_size)


def resnet34(image_size: int) -> tf.keras.Model:
    """Builds the same as `resnet18`, with 34 layers."""
    return _basic_resnet((3, 4, 6, 3), image_size)


def resnet50(image_size: int, weights: str = "none") -> tf.keras.Model:
    """Builds images [B, H, W, 3] in [-1, 1] -> features [B, 2048].

    The pixels are first brought to the range of Keras' ImageNet weights, exactly, whether or not
    these are loaded: the graph is the same, so that a trained network can be restored without
    them.

    Args:
      image_size: H = W, pixels.
      weights: "none" or "imagenet" (a download on first use, kept in ~/.keras/models).

    Raises:
      InputError: the image is too small, or the download failed.
    """
    return _bottleneck_resnet(tf.keras.applications.ResNet50, image_size, weights)


def resnet101(image_size: int, weights: str = "none") -> tf.keras.Model:
    """Builds the same as `resnet50`, with 101 layers."""
    return _bottleneck_resnet(tf.keras.applications.ResNet101, image_size, weights)


def resnet152(image_size: int, weights: str = "none") -> tf.keras.Model:
    """Builds the same as `resnet50`, with 152 layers."""
    return _bottleneck_resnet(tf.keras.applications.ResNet152, image_size, weights)


def check_size(image_size: int, network: str) -> None:
    """Raises InputError for images below SMALLEST; the text names the network so."""
    if image_size < SMALLEST:
        raise InputError(
            f"--image_size={image_size} is too small for {network}; {SMALLEST} is the least."
        )


def _basic_resnet(blocks: tuple[int, ...], image_size: int) -> tf.keras.Model:
    check_size(image_size, "a ResNet")
    images = tf.keras.Input([image_size, image_size, 3])
    x = convolution(images, 64, 7, 2, "conv1")
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage, count in enumerate(blocks):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            x = basic_block(x, 64 * 2**stage, stride, f"stage{stage + 1}_block{block + 1}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return tf.keras.Model(images, x, name="backbone")


def basic_block(x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
    """Returns ReLU(x + BN(conv(ReLU(BN(conv(x)))))), x projected where the shape changes."""
    y = convolution(x, filters, 3, stride, f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = convolution(y, filters, 3, 1, f"{name}_conv2")
    if stride != 1 or x.shape[-1] != filters:
        x = convolution(x, filters, 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, y]))


def convolution(x: tf.Tensor, filters: int, size: int, stride: int, name: str) -> tf.Tensor:
    """Applies convolution and batch normalization, padded alike on all sides."""
    if size > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(filters, size, stride, use_bias=False, name=name)(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)


def _bottleneck_resnet(
    application: Callable[..., tf.keras.Model], image_size: int, weights: str
) -> tf.keras.Model:
    check_size(image_size, "a ResNet")
    images = tf.keras.Input([image_size, image_size, 3])
    # x = 127.5 x' + 127.5. The weights' blue-green-red order is met by turning the first kernel.
    caffe = layers.Rescaling(127.5, [127.5 - mean for mean in _CAFFE_MEANS], name="caffe_pixels")
    try:
        model = application(
            include_top=False,
            weights="imagenet" if weights == "imagenet" else None,
            input_tensor=caffe(images),
            pooling="avg",
        )
    except Exception as error:  # get_file raises no other for a failed download
        if "URL fetch failure" not in str(error):
            raise
        file = f"{application.__name__.lower()}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        raise InputError(
            f"The ImageNet weights could not be downloaded ({error}). On a machine with access, "
            "fetch https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
            f"{file} and put it into ~/.keras/models here; or train with --weights=none."
        ) from error
    kernel = model.get_layer("conv1_conv").kernel
    kernel.assign(tf.reverse(kernel, axis=[2]))
    return tf.keras.Model(images, model.output, name="backbone")
