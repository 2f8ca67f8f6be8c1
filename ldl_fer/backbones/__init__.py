"""The one place where a network is built: images -> (features, logits)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from ldl_fer.backbones.adapted import adapted
from ldl_fer.backbones.local import load_backbone
from ldl_fer.backbones.mobilefacenet import mobilefacenet
from ldl_fer.backbones.onnx_weights import load_mobilefacenet, rectifier_of
from ldl_fer.backbones.pooled_maps import pooled_maps
from ldl_fer.backbones.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from ldl_fer.backbones.small_cnn import small_cnn
from ldl_fer.errors import InputError
from ldl_fer.settings import NetworkConfig

BACKBONES: Mapping[str, Callable[..., tf.keras.Model]] = MappingProxyType(
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
    config: NetworkConfig, image_size: int, num_classes: int, seed: int = 0, load: bool = True
) -> tf.keras.Model:
    """The network that is trained and, alone, exported.

    Layers: "pixels", (x - 127.5) / 127.5; "backbone"; "features"; dropout where there is any; and
    "logits". With a frozen backbone: "pixels"; "backbone", which gives its pooled maps; and "head",
    a model of the layers "standardization" (see `standardize`), dropout, "hidden", "normalization",
    "features" and "logits".

    Args:
      config: which backbone, its first weights and arithmetic, dropout.
      image_size: H = W, pixels.
      num_classes: C.
      seed: of the weights that are not loaded. Equal seeds give equal weights, to the bit,
        whatever else was built before.
      load: False leaves out weights of ImageNet or of a pretrained file, for callers that load
        those of a run.

    Returns:
      RGB images [B, H, W, 3], 0 to 255 of any type, -> (features [B, V], logits [B, C]), both
      float32 under any precision policy.

    Raises:
      InputError: unknown backbone, unfit image size, no such weights, failed download, or a file
        that cannot or must not be loaded.
    """
    backbone = adapted(
        _backbone(config, image_size, seed, load), config.precision, config.sync_batch_norm
    )
    images = tf.keras.Input([image_size, image_size, 3], name="images")
    pixels = tf.keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="pixels")(images)
    # A pretrained file has its normalization folded into its weights: there are no statistics of
    # its own to be updated.
    maps = backbone(pixels, training=False) if config.pretrained else backbone(pixels)
    if config.frozen:
        backbone.trainable = False
        outputs = _head(config, backbone.output_shape[-1], num_classes, seed)(maps)
    else:
        features = tf.keras.layers.Activation("linear", dtype="float32", name="features")(maps)
        outputs = features, _logits(_dropout(features, config, seed), num_classes, seed)
    return tf.keras.Model(images, outputs, name="network")


def trained_part(network: tf.keras.Model) -> tf.keras.Model:
    """All of a network of `build_network`, or the head over its frozen backbone."""
    models = [layer for layer in network.layers if isinstance(layer, tf.keras.Model)]
    return next((model for model in models if model.name == "head"), network)


def frozen_part(network: tf.keras.Model) -> tf.keras.Model:
    """The rest: images [B, H, W, 3] -> pooled maps [B, P] that the head takes."""
    images = tf.keras.Input(network.input_shape[1:])
    pixels = network.get_layer("pixels")(images)
    return tf.keras.Model(images, network.get_layer("backbone")(pixels, training=False))


def standardize(network: tf.keras.Model, mean: np.ndarray, variance: np.ndarray) -> None:
    """Tells the head of a frozen backbone what the pooled maps are like.

    Args:
      network: of `build_network`.
      mean, variance: [P], of the training set.
    """
    network.get_layer("head").get_layer("standardization").set_weights([mean, variance])


def backbone_variables(network: tf.keras.Model) -> list[tf.Variable]:
    """The trained variables that lie beneath the features; none in a frozen backbone's head."""
    found = [layer for layer in network.layers if layer.name == "backbone"]
    return found[0].trainable_variables if found else []


def read_out(network: tf.keras.Model) -> tf.keras.Model:
    """The last layers, features [B, V] -> logits [B, C]: dropout, if it comes there, and "logits".

    Args:
      network: of `build_network`, or its head.
    """
    features = hidden = tf.keras.Input(network.outputs[0].shape[1:])
    names = [layer.name for layer in network.layers]
    for name in names[names.index("features") + 1 :]:
        hidden = network.get_layer(name)(hidden)
    return tf.keras.Model(features, hidden)


def feature_map(network: tf.keras.Model) -> tf.keras.Model | None:
    """Images [B, H, W, 3] -> (map [B, h, w, V] whose average the features are, features, logits).

    The layers are the network's own, used as it uses them. None where the features are no average
    of a map.
    """
    if trained_part(network) is not network:
        return None
    backbone = network.get_layer("backbone")
    last = backbone.layers[-1]
    if not isinstance(last, tf.keras.layers.GlobalAveragePooling2D):
        return None
    inner = tf.keras.Model(backbone.input, (last.input, last.output))
    images = tf.keras.Input(network.input_shape[1:])
    mode = backbone.inbound_nodes[0].call_kwargs  # training=False where it is pretrained
    maps, average = inner(network.get_layer("pixels")(images), **mode)
    features = network.get_layer("features")(average)
    return tf.keras.Model(images, (maps, features, read_out(network)(features)))


def _backbone(config: NetworkConfig, image_size: int, seed: int, load: bool) -> tf.keras.Model:
    name = config.backbone
    if config.weights == "imagenet" and name not in WITH_IMAGENET_WEIGHTS:
        raise InputError(
            f"--backbone={name} has no ImageNet weights; {', '.join(WITH_IMAGENET_WEIGHTS)} do. "
            "Choose one of them, or --weights=none."
        )
    for flag, given in (("--pretrained", config.pretrained), ("--frozen", config.frozen)):
        if given and name != "mobilefacenet":
            raise InputError(f"{flag} needs --backbone=mobilefacenet, not {name}.")
    if config.frozen and not config.pretrained:
        raise InputError("--frozen needs --pretrained=FILE.onnx, the weights that are kept.")
    if config.pretrained:
        if load:
            found = rectifier_of(config.pretrained)
            if found != config.rectifier:
                raise InputError(f"{config.pretrained} has {found}: add --rectifier={found}.")
            backbone = load_mobilefacenet(config.pretrained, image_size)
        else:
            backbone = mobilefacenet(image_size, config.rectifier, "average")
        return pooled_maps(backbone) if config.frozen else backbone
    if config.weights == "imagenet" and load:
        return BACKBONES[name](image_size, weights="imagenet")
    if name in BACKBONES:
        backbone = BACKBONES[name](image_size)
        _draw_kernels(backbone, seed)
        return backbone
    if Path(name).exists():
        return load_backbone(name, image_size)
    raise InputError(
        f"--backbone={name} is neither an existing file nor one of {', '.join(BACKBONES)}."
    )


def _head(config: NetworkConfig, size: int, num_classes: int, seed: int) -> tf.keras.Model:
    """Pooled maps [B, size] -> (features [B, head_units], logits [B, C])."""
    pooled = tf.keras.Input([size], name="pooled")
    standard = tf.keras.layers.BatchNormalization(
        center=False, scale=False, trainable=False, name="standardization"
    )(pooled, training=False)
    hidden = tf.keras.layers.Dense(
        config.head_units,
        use_bias=False,
        kernel_initializer=tf.keras.initializers.HeNormal(seed),
        name="hidden",
    )(_dropout(standard, config, seed))
    hidden = tf.keras.layers.BatchNormalization(
        momentum=0.9, synchronized=config.sync_batch_norm, name="normalization"
    )(hidden)
    features = tf.keras.layers.ReLU(name="features")(hidden)
    outputs = features, _logits(features, num_classes, seed)
    return tf.keras.Model(pooled, outputs, name="head")


def _dropout(x: tf.Tensor, config: NetworkConfig, seed: int) -> tf.Tensor:
    if not config.dropout:
        return x
    # A generator of its own can be saved in training checkpoints: a run goes on as it would.
    return tf.keras.layers.Dropout(
        config.dropout, seed=seed, force_generator=True, dtype="float32", name="dropout"
    )(x)


def _logits(features: tf.Tensor, num_classes: int, seed: int) -> tf.Tensor:
    return tf.keras.layers.Dense(
        num_classes,
        kernel_initializer=tf.keras.initializers.GlorotUniform(seed),
        dtype="float32",
        name="logits",
    )(features)


def _draw_kernels(backbone: tf.keras.Model, seed: int) -> None:
    """He initialization (fan-out) of every convolution; other first weights are constants."""
    for index, variable in enumerate(backbone.trainable_variables):
        if variable.shape.rank == 4:
            height, width, _, filters = variable.shape
            deviation = (2.0 / (height * width * filters)) ** 0.5
            variable.assign(
                tf.random.stateless_normal(variable.shape, seed=[seed, index], stddev=deviation)
            )
