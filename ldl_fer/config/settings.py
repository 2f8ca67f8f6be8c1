"""The settings that all methods share: a dataclass a group, with defaults, help and ranges.

The methods' own are in `ldl_fer.config.methods`; `ldl_fer.config.Config` has them all.
"""

import dataclasses
from typing import Any

from ldl_fer.config.checks import (
    LANDMARK_PARTS,
    Check,
    checkpoint_interval,
    distinct_names,
    known_parts,
    known_space,
    not_negative,
    ordered_pair,
    positive,
    share,
)
from ldl_fer.errors import InputError
from ldl_fer.files import with_home

CLASS_NAMES = ("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger")

TRUST_HELP = (
    "Load a model file that holds code (Lambda layers), or whose graph reads or writes files: it "
    "can do with your rights whatever its maker liked. Not kept with a run: say it each time."
)


def setting(default: Any, help_text: str, *checks: Check, choices: tuple[str, ...] = ()) -> Any:
    """Makes a field of a group of settings, with all that its flag needs in the metadata.

    Args:
      default: the paper's value, where the paper has one.
      help_text: of the flag, sentences.
      *checks: of `ldl_fer.config.checks`, ranges of the value; none: a number must not be
        negative.
      choices: the only values allowed; empty: no choice among few.
    """
    metadata = {"help": help_text, "choices": choices, "checks": checks or (not_negative,)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The data that is read."""

    train_data_path: str = setting(
        "", "Annotation CSV of the training images, or a folder of shards made from one."
    )
    train_image_dir: str = setting("", "Folder that the paths in the training CSV start from.")
    val_data_path: str = setting(
        "",
        "Annotation CSV (or shards) to choose the best epoch on. Empty: a part of the training "
        "set is held out, see --validation_fraction.",
    )
    val_image_dir: str = setting("", "Folder that the paths in the validation CSV start from.")
    validation_fraction: float = setting(
        0.1,
        "Part of the training CSV held out, stratified by class, when there is no --val_data_path.",
        share,
    )
    select_on_test: bool = setting(
        False,
        "Choose the best epoch on the set given as --val_data_path although it is the test set, as "
        "many papers do. Recorded in the results.",
    )
    on_bad_image: str = setting(
        "fail",
        "What to do about pictures that cannot be read: fail names them all and ends; skip leaves "
        "them out, with a report in --records_dir.",
        choices=("fail", "skip"),
    )
    records_dir: str = setting(
        "data/records", "Where shards made from CSV files are kept and found again."
    )
    image_size: int = setting(224, "Height and width of the network's input, pixels.", positive)
    num_neighbors: int = setting(
        8, "K, the number of neighbors of a sample in the auxiliary space (Eq. 2).", positive
    )
    auxiliary: str = setting(
        "valence_arousal",
        "The space of neighbors and of Eq. 2: valence_arousal; landmarks: the face's shape, by a "
        "table of `ldl-fer landmarks`; both; or a .npz of your own: path [N], and vectors [N, D] "
        "or points [N, P, D]. All but the first are scaled to its usual spread, so that --delta "
        "keeps its meaning, and find neighbors anew, whatever the column knn has.",
        known_space,
    )
    landmarks: str = setting(
        "", "Table of landmarks. Empty: beside the CSV, as train.landmarks.npz beside train.csv."
    )
    landmark_parts: tuple[str, ...] = setting(
        LANDMARK_PARTS,
        "Parts of the face whose points count, of tables of 468 points; all points of others do.",
        known_parts,
    )
    landmark_alignment: str = setting(
        "rotated",
        "Before shapes are compared, each is moved to the origin and scaled to one size; rotated: "
        "and turned to the mean shape; scaled: not turned; none: taken as it is in the table.",
        choices=("rotated", "scaled", "none"),
    )
    valence_arousal_share: float = setting(
        0.2,
        "both: part of the mean squared distance between two faces that comes of valence and "
        "arousal; the rest comes of landmarks.",
        share,
    )
    sampling: str = setting(
        "natural",
        "How often training shows each class. natural: each picture once an epoch; balanced: all "
        "classes alike, in as many steps; progressive: from the one to the other, over the epochs.",
        choices=("natural", "balanced", "progressive"),
    )
    class_names: tuple[str, ...] = setting(
        CLASS_NAMES,
        "Names of the classes, comma separated, in the order of `expression`.",
        distinct_names,
    )


AUXILIARY_SETTINGS = (  # of `DataConfig`, that say which space it is
    "auxiliary",
    "landmarks",
    "landmark_parts",
    "landmark_alignment",
    "valence_arousal_share",
)


@dataclasses.dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of training images."""

    pad: int = setting(16, "Black pixels added to each side before the random crop.")
    flip: bool = setting(True, "Mirror half of the images.")
    erase_probability: float = setting(
        0.0, "Chance that a rectangle of a main image is replaced by uniform noise.", share
    )
    erase_area: tuple[float, ...] = setting(
        (0.02, 0.3), "Smallest and largest erased part of the image area.", share, ordered_pair
    )
    erase_apart: bool = setting(
        False,
        "Methods that compare a face with its mirror image: erase each view by itself; off: both "
        "alike.",
    )
    erase_aspect: tuple[float, ...] = setting(
        (0.3, 1 / 0.3),
        "Smallest and largest height-to-width ratio of the erased rectangle.",
        positive,
        ordered_pair,
    )


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The network that is trained, and all that is left at test time."""

    backbone: str = setting(
        "resnet50",
        "resnet18, resnet34, resnet50, resnet101, resnet152, mobilefacenet, faceres, small_cnn, or "
        "the path of a .h5, .keras or SavedModel whose output is a feature vector or map. With "
        "--frozen also several, as mobilefacenet,faceres, whose maps are pooled together.",
    )
    trust_model: bool = setting(False, TRUST_HELP)
    weights: str = setting(
        "none",
        "imagenet: start from Keras' ImageNet weights, where it has them (download).",
        choices=("none", "imagenet"),
    )
    pretrained: str = setting(
        "",
        "Weights to start the backbone from, its features then being the average of its last map: "
        "of --backbone=mobilefacenet or faceres the ONNX file of MobileFaceNet or faceres-deep "
        "(also its TensorFlow.js .json with the .bin beside it), of resnet18 or resnet50 a .pth or "
        ".safetensors in torchvision's names. Of several backbones a file each, in their order, "
        "with a comma between two. ONNX needs onnx and onnxruntime: pip install -r "
        "requirements.txt -r requirements-extras.txt, in one call.",
    )
    rectifier: str = setting(
        "prelu",
        "Activations of mobilefacenet; those of the --pretrained file.",
        choices=("prelu", "relu6"),
    )
    frozen: bool = setting(
        False,
        "Leave the pretrained backbone as it is and train a head on its pooled maps (2,304 "
        "numbers a face, of others than mobilefacenet 2,688 to 9,216, of several all of theirs, "
        "computed once): whole tables in minutes on a CPU.",
    )
    head_units: int = setting(512, "Features of the head that --frozen trains.", positive)
    dropout: float = setting(
        0.0,
        "Dropout between the features and the logits.",
        share,
    )
    precision: str = setting(
        "float32",
        "Arithmetic of the backbone in training. Weights, lambda, centers, bank look-ups and "
        "losses stay float32; with mixed_float16 the loss is scaled.",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
    )
    sync_batch_norm: bool = setting(
        False,
        "Batch normalization takes the statistics of all devices' images together, not of each "
        "device's own.",
    )

    @property
    def backbones(self) -> tuple[str, ...]:
        """The names in --backbone; a path is one, whatever commas it has."""
        names = tuple(self.backbone.split(","))
        return names if all(map(str.isidentifier, names)) else (self.backbone,)

    @property
    def pretrained_files(self) -> tuple[str, ...]:
        """The file of each backbone; none without --pretrained.

        Raises:
          InputError: there are not as many.
        """
        if not self.pretrained or len(self.backbones) == 1:
            return (self.pretrained,) * bool(self.pretrained)
        files = tuple(map(with_home, self.pretrained.split(",")))
        if len(files) != len(self.backbones):
            raise InputError(
                f"--backbone={self.backbone} needs as many files, with a comma between two, in "
                f"that order; --pretrained={self.pretrained} is {len(files)}."
            )
        return files


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Schedules and step sizes."""

    batch_size: int = setting(32, "Images per step, over all devices.", positive)
    micro_batch_size: int = setting(
        0,
        "Images that a device passes through the network at a time; gradients are added up until "
        "the batch is complete, for batches that do not fit into memory. 0: all at once.",
    )
    epochs: int = setting(30, "Passes over the training set.", positive)
    learning_rate: float = setting(1e-3, "Adam's step size for network and calibrator.", positive)
    backbone_rate_factor: float = setting(
        1.0, "Factor of the backbone's learning rate; below 1 it learns slower than the rest."
    )
    decay_epochs: tuple[int, ...] = setting(
        (), "Epochs after which the learning rate is multiplied by --decay_factor, comma separated."
    )
    decay_factor: float = setting(0.1, "See --decay_epochs.")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Where and how a run happens."""

    run_dir: str = setting("checkpoints/run", "Folder of the run: checkpoints, logs, results.")
    seed: int = setting(0, "Seed of initial weights, split, order and augmentation.")
    strategy: str = setting(
        "auto",
        "auto: the machines that the variable TF_CONFIG names, if there are several, else all "
        "visible GPUs, else the CPU; mirrored: one replica per device of this machine; none: "
        "one replica.",
        choices=("auto", "mirrored", "none"),
    )
    checkpoint_every: str = setting(
        "10m",
        "When to save within an epoch: 500 for every 500 steps, 10m for every 10 minutes, 500,10m "
        "for both, 0 for never. The end of an epoch is saved in any case. On several machines "
        "steps count only.",
        checkpoint_interval,
    )
    jit: bool = setting(False, "Compile the network by XLA.")
    steps_per_execution: int = setting(
        1,
        "Steps that are taken without coming back to Python in between: less overhead where a step "
        "is short. A signal stops, and --checkpoint_every saves, after the last of them.",
        positive,
    )
    pictures: bool = setting(
        True, "Draw neighbors and confusion matrix for TensorBoard after each epoch."
    )
