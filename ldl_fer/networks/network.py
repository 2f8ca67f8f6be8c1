"""The one place where a network is built: images -> (features, logits)."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import tensorflow as tf

from ldl_fer.config.checks import check_frozen
from ldl_fer.config.settings import NetworkConfig
from ldl_fer.errors import InputError
from ldl_fer.files import state_of
from ldl_fer.networks.faceres import FILE_SIZE as FACERES_SIZE
from ldl_fer.networks.faceres import faceres, load_faceres
from ldl_fer.networks.head import dropout, head, logits
from ldl_fer.networks.keras_backbone import load_backbone
from ldl_fer.networks.mobilefacenet import mobilefacenet
from ldl_fer.networks.mobilefacenet_onnx import FILE_SIZE as MOBILEFACENET_SIZE
from ldl_fer.networks.mobilefacenet_onnx import load_mobilefacenet
from ldl_fer.networks.pooled_maps import joined_pooled_maps, pooled_maps
from ldl_fer.networks.precision import with_precision
from ldl_fer.networks.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from ldl_fer.networks.small_cnn import small_cnn
from ldl_fer.networks.torch_resnet import BLOCKS, load_torch_resnet, torch_resnet

BACKBONES: Mapping[str, Callable[..., tf.keras.Model]] = MappingProxyType(
    {
        "resnet18": resnet18,
        "resnet34": resnet34,
        "resnet50": resnet50,
        "resnet101": resnet101,
        "resnet152": resnet152,
        "mobilefacenet": mobilefacenet,
        "faceres": faceres,
        "small_cnn": small_cnn,
    }
)
WITH_PRETRAINED_FILES = ("mobilefacenet", "faceres", *BLOCKS)
_FOLDED = ("mobilefacenet", "faceres")  # files that have batch normalization in their weights
# Pixels that a backbone takes beside others; those that are not named take the images as they are.
_OWN_SIZES = MappingProxyType({"mobilefacenet": MOBILEFACENET_SIZE, "faceres": FACERES_SIZE})
WITH_IMAGENET_WEIGHTS = ("resnet50", "resnet101", "resnet152")


def build_network(
    config: NetworkConfig, image_size: int, num_classes: int, seed: int = 0, load: bool = True
) -> tf.keras.Model:
    """Builds the network that is trained and, alone, exported.

    Layers: "pixels", (x - 127.5) / 127.5; "backbone"; "features"; dropout where there is any; and
    "logits". With a frozen backbone: "pixels"; "backbone", which gives its pooled maps; and "head",
    see `head.head`.

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
    backbone = with_precision(
        _backbone(config, image_size, seed, load), config.precision, config.sync_batch_norm
    )
    images = tf.keras.Input([image_size, image_size, 3], name="images")
    pixels = tf.keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="pixels")(images)
    # Of a file with its normalization folded into its weights there are no statistics to update.
    settled = config.frozen or (config.pretrained and config.backbone in _FOLDED)
    maps = backbone(pixels, training=False) if settled else backbone(pixels)
    if config.frozen:
        backbone.trainable = False
        outputs = head(config, backbone.output_shape[-1], num_classes, seed)(maps)
    else:
        features = tf.keras.layers.Activation("linear", dtype="float32", name="features")(maps)
        outputs = features, logits(dropout(features, config, seed), num_classes, seed)
    return tf.keras.Model(images, outputs, name="network")


def starts_learned(config: NetworkConfig) -> bool:
    """Says whether the backbone's first weights were learned elsewhere, not drawn."""
    return bool(config.pretrained) or config.weights != "none" or config.backbone not in BACKBONES


def _backbone(config: NetworkConfig, image_size: int, seed: int, load: bool) -> tf.keras.Model:
    name = config.backbone
    if config.weights == "imagenet" and name not in WITH_IMAGENET_WEIGHTS:
        raise InputError(
            f"--backbone={name} has no ImageNet weights; {', '.join(WITH_IMAGENET_WEIGHTS)} do. "
            "Choose one of them, or --weights=none."
        )
    _check_pretrained(config)
    if config.pretrained:
        return _pretrained(config, image_size, load)
    if config.weights == "imagenet" and load:
        return BACKBONES[name](image_size, weights="imagenet")
    if name in BACKBONES:
        backbone = BACKBONES[name](image_size)
        _draw_kernels(backbone, seed)
        return backbone
    if Path(name).exists():
        return load_backbone(name, image_size, config.trust_model)
    raise InputError(
        f"--backbone={name} is neither an existing file nor one of {', '.join(BACKBONES)}."
    )


def _check_pretrained(config: NetworkConfig) -> None:
    names = config.backbones
    if len(names) > 1 and not config.frozen:
        raise InputError(
            f"--backbone={config.backbone} names several, which are not trained together: add "
            "--frozen, as --preset=frozen has it, or choose one."
        )
    for flag, given in (("--pretrained", config.pretrained), ("--frozen", config.frozen)):
        for name in names:
            if given and name not in WITH_PRETRAINED_FILES:
                *some, last = WITH_PRETRAINED_FILES
                known = f"{', '.join(some)} or {last}"
                raise InputError(f"{flag} needs --backbone={known}, not {name}.")
    if len(set(names)) < len(names):
        raise InputError(f"--backbone={config.backbone} names one twice. Leave it out.")
    check_frozen(config)


def _pretrained(config: NetworkConfig, image_size: int, load: bool) -> tf.keras.Model:
    names, rectifier = config.backbones, config.rectifier
    files = config.pretrained_files if load else ()
    first_weights = files or len(names) * (None,)
    if not config.frozen:
        return _as_in_file(names[0], first_weights[0], image_size, rectifier)
    if not files or not all(Path(file).exists() for file in files):  # the latter is refused
        return _frozen(names, first_weights, image_size, rectifier)
    states = tuple(state_of(Path(file)) for file in files)
    strategy = tf.distribute.get_strategy()
    return _frozen_of_files(names, files, states, image_size, rectifier, strategy)


@functools.lru_cache(maxsize=1)
def _frozen_of_files(names, files, states, image_size, rectifier, strategy):
    """Returns a frozen backbone, built once for the trainings that follow each other in a process.

    Their networks share it, as no training changes it. Files that changed are read anew, and each
    strategy has its own copies of the variables.
    """
    return _frozen(names, files, image_size, rectifier)


def _frozen(names, files, image_size, rectifier):
    if len(names) == 1:
        return pooled_maps(_as_in_file(names[0], files[0], image_size, rectifier))
    backbones = [
        _as_in_file(name, file, _OWN_SIZES.get(name, image_size), rectifier)
        for name, file in zip(names, files, strict=True)
    ]
    return joined_pooled_maps(backbones, image_size)


def _as_in_file(name: str, file: str | None, image_size: int, rectifier: str) -> tf.keras.Model:
    """Builds a backbone of WITH_PRETRAINED_FILES; without a file, its weights are not set."""
    if name in BLOCKS:
        return load_torch_resnet(file, name, image_size) if file else torch_resnet(name, image_size)
    if name == "faceres":
        return load_faceres(file, image_size) if file else faceres(image_size)
    if file:
        return load_mobilefacenet(file, image_size, rectifier=rectifier)
    return mobilefacenet(image_size, rectifier, "average")


def _draw_kernels(backbone: tf.keras.Model, seed: int) -> None:
    """Draws the kernels of all convolutions (He, fan-out); other first weights are constants."""
    for index, variable in enumerate(backbone.trainable_variables):
        if variable.shape.rank == 4:
            height, width, _, filters = variable.shape
            deviation = (2.0 / (height * width * filters)) ** 0.5
            variable.assign(
                tf.random.stateless_normal(variable.shape, seed=[seed, index], stddev=deviation)
            )
