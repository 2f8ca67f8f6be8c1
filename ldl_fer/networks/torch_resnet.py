"""ResNet-18 and ResNet-50 as torchvision has them, with the weights of a PyTorch file.

Unlike Keras', ResNet-50 strides in the 3 x 3 convolution and has no bias in any. The pixels become
(x / 255 - mean) / std with ImageNet's constants, by which torchvision's weights are trained, and
the face networks that the field starts from (resnet18_msceleb.pth): a layer "torch_pixels" of the
network, saved with it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from ldl_fer.errors import InputError
from ldl_fer.networks.resnet import basic_block, check_size, convolution
from ldl_fer.networks.torch_files import read_tensors

layers = tf.keras.layers

BLOCKS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
)
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_ORDER = ("weight", "bias", "running_mean", "running_var")  # of Keras' batch normalization


def torch_resnet(name: str, image_size: int) -> tf.keras.Model:
    """Builds images [B, H, W, 3] in [-1, 1] -> features [B, 512] or, of resnet50, [B, 2048].

    Args:
      name: of BLOCKS.
      image_size: H = W, pixels.

    Raises:
      InputError: images below 32 pixels.
    """
    check_size(image_size, "a ResNet")
    images = tf.keras.Input([image_size, image_size, 3])
    scale, offset = (0.5 / _STD).tolist(), ((0.5 - _MEAN) / _STD).tolist()
    x = layers.Rescaling(scale, offset, name="torch_pixels")(images)
    x = convolution(x, 64, 7, 2, "conv1")
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    for stage, count in enumerate(BLOCKS[name]):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            built = basic_block if name == "resnet18" else _bottleneck
            x = built(x, 64 * 2**stage, stride, f"stage{stage + 1}_block{block + 1}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return tf.keras.Model(images, x, name="backbone")


def load_torch_resnet(path: str | Path, name: str, image_size: int) -> tf.keras.Model:
    """Builds `torch_resnet` with the weights of a .pth, .pt or .safetensors file.

    Args:
      path: of a state dict in torchvision's names; its last layer, `fc`, is left out.
      name, image_size: as `torch_resnet` takes them.

    Raises:
      InputError: as `read_tensors` and `torch_resnet`; the tensors are not those of this network.
    """
    model, tensors = torch_resnet(name, image_size), read_tensors(path)
    tensors = {n: v for n, v in tensors.items() if not n.startswith("fc.")}
    unread = {n for n in tensors if not n.endswith("num_batches_tracked")}
    for layer in model.layers:
        if not layer.weights:
            continue
        names = list(_torch_names(layer.name))
        if missing := [n for n in names if n not in tensors]:
            raise _mismatch(path, name, f"there is no {missing[0]}")
        values = [tensors[n].astype(np.float32) for n in names]
        values = [v.transpose(2, 3, 1, 0) if v.ndim == 4 else v for v in values]
        for n, value, variable in zip(names, values, layer.weights, strict=True):
            if value.shape != tuple(variable.shape):
                text = f"{n} has the shape {tensors[n].shape}"
                raise _mismatch(path, name, text)
            if not np.isfinite(value).all():
                raise _mismatch(path, name, f"{n} has values that are not finite")
        layer.set_weights(values)
        unread -= set(names)
    if unread:
        raise _mismatch(path, name, f"it has {len(unread)} more tensors, as {min(unread)}")
    return model


def _torch_names(layer: str) -> Iterator[str]:
    """Yields torchvision's names of a layer's weights: stage1_block2_conv1 is layer1.1.conv1."""
    normalization = layer.endswith("_bn")
    parts = layer.removesuffix("_bn").split("_")
    last = parts[-1]
    if last == "shortcut":
        last = f"downsample.{int(normalization)}"
    elif normalization:
        last = last.replace("conv", "bn")
    block = ""
    if len(parts) == 3:
        stage, number = (int(part.lstrip("stageblock")) for part in parts[:2])
        block = f"layer{stage}.{number - 1}."
    for kind in _ORDER if normalization else ("weight",):
        yield f"{block}{last}.{kind}"


def _bottleneck(x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
    """Returns ReLU(x + BN(conv1x1(...))), x projected where the shape changes."""
    y = layers.ReLU(name=f"{name}_relu1")(convolution(x, filters, 1, 1, f"{name}_conv1"))
    y = layers.ReLU(name=f"{name}_relu2")(convolution(y, filters, 3, stride, f"{name}_conv2"))
    y = convolution(y, 4 * filters, 1, 1, f"{name}_conv3")
    if stride != 1 or x.shape[-1] != 4 * filters:
        x = convolution(x, 4 * filters, 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu3")(layers.Add(name=f"{name}_add")([x, y]))


def _mismatch(path: str | Path, name: str, difference: str) -> InputError:
    return InputError(
        f"{path} is no {name} in torchvision's names: {difference}. Is --backbone={name} right?"
    )
