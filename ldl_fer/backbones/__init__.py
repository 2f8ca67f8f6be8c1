"""The one place where a network is built: images -> (features, logits)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import tensorflow as tf

from ldl_fer.backbones.adapted import adapted
from ldl_fer.backbones.local import load_backbone
from ldl_fer.backbones.mobilefacenet import mobilefacenet
from ldl_fer.backbones.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from ldl_fer.backbones.small_cnn import small_cnn
from ldl_fer.config import NetworkConfig
from ldl_fer.errors import InputError

BACKBONES: Mapping[str, Callable[[int], tf.keras.Model]] = MappingProxyType(
    {
        "resnet18": resnet18,
        "resnet34": resnet34,
        "resnet50": resnet50,
        "resnet101": resnet101,
        "resnet152": resnet152,
        "mobilefacenet": mobilefacenet,
        "small_cnn": small_cnn,
    }
)
WITH_IMAGENET_WEIGHTS = ("resnet50", "resnet101", "resnet152")


def build_network(
    config: NetworkConfig, image_size: int, num_classes: int, seed: int = 0
) -> tf.keras.Model:
    """The network that is trained and, alone, exported.

    Layers: "pixels", (x - 127.5) / 127.5; "backbone"; "features"; dropout where there is any; and
    "logits".

    Args:
      config: which backbone, its first weights and arithmetic, dropout.
      image_size: H = W, pixels.
      num_classes: C.
      seed: of the weights that are not loaded. Equal seeds give equal weights, to the bit,
        whatever else was built before.

    Returns:
      RGB images [B, H, W, 3], 0 to 255 of any type, -> (features [B, V], logits [B, C]), both
      float32 under any precision policy.

    Raises:
      InputError: unknown backbone, unfit image size, no such weights, failed download, or a file
        that cannot or must not be loaded.
    """
    name = config.backbone
    if config.weights == "imagenet" and name not in WITH_IMAGENET_WEIGHTS:
        raise InputError(
            f"--backbone={name} has no ImageNet weights; {', '.join(WITH_IMAGENET_WEIGHTS)} do. "
            "Choose one of them, or --weights=none."
        )
    if config.weights == "imagenet":
        backbone = BACKBONES[name](image_size, weights="imagenet")
    elif name in BACKBONES:
        backbone = BACKBONES[name](image_size)
        _draw_kernels(backbone, seed)
    elif Path(name).exists():
        backbone = load_backbone(name, image_size)
    else:
        raise InputError(
            f"--backbone={name} is neither an existing file nor one of {', '.join(BACKBONES)}."
        )
    backbone = adapted(backbone, config.precision, config.sync_batch_norm)
    images = tf.keras.Input([image_size, image_size, 3], name="images")
    pixels = tf.keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="pixels")(images)
    features = tf.keras.layers.Activation("linear", dtype="float32", name="features")(
        backbone(pixels)
    )
    hidden = features
    if config.dropout:
        hidden = tf.keras.layers.Dropout(
            config.dropout, seed=seed, dtype="float32", name="dropout"
        )(features)
    logits = tf.keras.layers.Dense(
        num_classes,
        kernel_initializer=tf.keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name="logits",
    )(hidden)
    return tf.keras.Model(images, (features, logits), name="network")


def _draw_kernels(backbone: tf.keras.Model, seed: int) -> None:
    """He initialization (fan-out) of every convolution; other first weights are constants."""
    for index, variable in enumerate(backbone.trainable_variables):
        if variable.shape.rank == 4:
            height, width, _, filters = variable.shape
            deviation = (2.0 / (height * width * filters)) ** 0.5
            variable.assign(
                tf.random.stateless_normal(variable.shape, seed=[seed, index], stddev=deviation)
            )
