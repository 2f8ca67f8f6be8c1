"""MobileFaceNet (Chen et al., 2018): inverted residuals, PReLU, global depthwise convolution.

The layer stack is that of the Apache-2.0 MobileFaceNet.onnx (face recognition, 112 px): Table 1 of
the paper, with a pointwise convolution after the stem's depthwise one. Every convolution NAME is
followed by NAME_bn and, unless it is linear, NAME_act:

  conv1, dw_conv_depthwise, dw_conv_pointwise,
  block00 ... block14, each _expand, _depthwise, _project (linear), and _add where it is residual,
  conv2, gdconv (linear), conv3 (linear)

Maps that `pooled_maps` takes, with their height and width for 112 px:

  map_stride8        14 x 14 x 128
  map_stride16       7 x 7 x 128
  map_stride16_wide  7 x 7 x 512
"""

import tensorflow as tf

from ldl_fer.errors import InputError

layers = tf.keras.layers

STRIDE = 16
# (expansion, filters, stride) of each block.
_BLOCKS = (
    ((2, 64, 2),)
    + 4 * ((2, 64, 1),)
    + ((4, 128, 2),)
    + 6 * ((2, 128, 1),)
    + ((4, 128, 2),)
    + 2 * ((2, 128, 1),)
)
_LAST_BLOCK_AT_STRIDE8 = 11


def mobilefacenet(
    image_size: int, rectifier: str = "prelu", output: str = "embedding"
) -> tf.keras.Model:
    """Builds images [B, H, W, 3] in [-1, 1] -> features [B, V].

    Args:
      image_size: H = W, pixels, a multiple of 16.
      rectifier: "prelu" as in the paper; "relu6" as in MobileFaceNet.onnx, whose dw_conv layers
        have ReLU, all others ReLU6.
      output: "embedding", V = 128, whose gdconv has a kernel as large as its map, so that its
        weights fit one image size; or "average", V = 512, the mean of map_stride16_wide, without
        gdconv and conv3, whose weights fit any size.

    Raises:
      InputError: an image size that is not a multiple of 16.
      ValueError: another rectifier or output.
    """
    if image_size < STRIDE or image_size % STRIDE:
        raise InputError(
            f"--image_size={image_size} does not fit mobilefacenet: a multiple of {STRIDE} does, "
            "such as 48, 112 or 224."
        )
    if rectifier not in ("prelu", "relu6"):
        raise ValueError(f"rectifier is 'prelu' or 'relu6', not {rectifier!r}")
    if output not in ("embedding", "average"):
        raise ValueError(f"output is 'embedding' or 'average', not {output!r}")
    plain = "relu" if rectifier == "relu6" else rectifier
    images = tf.keras.Input([image_size, image_size, 3])
    x = _convolution(images, "conv1", 64, 3, 2, rectifier)
    x = _depthwise(x, "dw_conv_depthwise", 3, 1, plain)
    x = _convolution(x, "dw_conv_pointwise", 64, 1, 1, plain)
    for index, (expansion, filters, stride) in enumerate(_BLOCKS):
        x = _block(x, f"block{index:02d}", expansion, filters, stride, rectifier)
        if index == _LAST_BLOCK_AT_STRIDE8:
            x = layers.Activation("linear", name="map_stride8")(x)
    x = layers.Activation("linear", name="map_stride16")(x)
    x = _convolution(x, "conv2", 512, 1, 1, rectifier)
    x = layers.Activation("linear", name="map_stride16_wide")(x)
    if output == "average":
        x = layers.GlobalAveragePooling2D(name="map_pool")(x)
        return tf.keras.Model(images, x, name="backbone")
    x = _depthwise(x, "gdconv", image_size // STRIDE, 1, None, pad=False)
    x = _convolution(x, "conv3", 128, 1, 1, None)
    return tf.keras.Model(images, layers.Flatten(name="embedding")(x), name="backbone")


def _block(
    x: tf.Tensor, name: str, expansion: int, filters: int, stride: int, rectifier: str
) -> tf.Tensor:
    """Applies an inverted residual; with the identity added where the shape stays."""
    channels = x.shape[-1]
    y = _convolution(x, f"{name}_expand", expansion * channels, 1, 1, rectifier)
    y = _depthwise(y, f"{name}_depthwise", 3, stride, rectifier)
    y = _convolution(y, f"{name}_project", filters, 1, 1, None)
    if stride == 1 and channels == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _convolution(
    x: tf.Tensor, name: str, filters: int, size: int, stride: int, rectifier: str | None
) -> tf.Tensor:
    if size > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(filters, size, stride, use_bias=False, name=name)(x)
    return _normalize(x, name, rectifier)


def _depthwise(
    x: tf.Tensor, name: str, size: int, stride: int, rectifier: str | None, pad: bool = True
) -> tf.Tensor:
    if pad:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = layers.DepthwiseConv2D(size, stride, use_bias=False, name=name)(x)
    return _normalize(x, name, rectifier)


def _normalize(x: tf.Tensor, name: str, rectifier: str | None) -> tf.Tensor:
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    if rectifier is None:
        return x
    if rectifier == "prelu":
        slope = tf.keras.initializers.Constant(0.25)
        return layers.PReLU(slope, shared_axes=[1, 2], name=f"{name}_act")(x)
    return layers.ReLU(6.0 if rectifier == "relu6" else None, name=f"{name}_act")(x)
