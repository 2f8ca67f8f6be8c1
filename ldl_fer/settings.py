"""The settings, a dataclass for each group: the only place that holds defaults and help texts."""

import dataclasses
from dataclasses import field
from typing import Any

CLASS_NAMES = ("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger")

TRUST_HELP = (
    "Load a model file that holds code (Lambda layers), or whose graph reads or writes files: it "
    "can do with your rights whatever its maker liked. Not kept with a run: say it each time."
)


def _setting(default: Any, help_text: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_text, "choices": choices})


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is read."""

    train_data_path: str = _setting(
        "", "Annotation CSV of the training images, or a folder of shards made from one."
    )
    train_image_dir: str = _setting("", "Folder that the paths in the training CSV start from.")
    val_data_path: str = _setting(
        "",
        "Annotation CSV (or shards) to choose the best epoch on. Empty: a part of the training "
        "set is held out, see --validation_fraction.",
    )
    val_image_dir: str = _setting("", "Folder that the paths in the validation CSV start from.")
    validation_fraction: float = _setting(
        0.1,
        "Part of the training CSV held out, stratified by class, when there is no --val_data_path.",
    )
    select_on_test: bool = _setting(
        False,
        "Choose the best epoch on the set given as --val_data_path although it is the test set, as "
        "many papers do. Recorded in the results.",
    )
    on_bad_image: str = _setting(
        "fail",
        "What to do about pictures that cannot be read: fail names them all and ends; skip leaves "
        "them out, with a report in --records_dir.",
        ("fail", "skip"),
    )
    records_dir: str = _setting(
        "data/records", "Where shards made from CSV files are kept and found again."
    )
    image_size: int = _setting(224, "Height and width of the network's input, pixels.")
    num_neighbors: int = _setting(
        8, "K, the number of valence-arousal neighbors of a sample (Eq. 2)."
    )
    class_names: tuple[str, ...] = _setting(
        CLASS_NAMES, "Names of the classes, comma separated, in the order of `expression`."
    )


@dataclasses.dataclass(frozen=True)
class AugmentationConfig:
    """How training images vary."""

    pad: int = _setting(16, "Black pixels added to each side before the random crop.")
    flip: bool = _setting(True, "Mirror half of the images.")
    erase_probability: float = _setting(
        0.0, "Chance that a rectangle of a main image is replaced by uniform noise."
    )
    erase_area: tuple[float, ...] = _setting(
        (0.02, 0.3), "Smallest and largest erased part of the image area."
    )
    erase_aspect: tuple[float, ...] = _setting(
        (0.3, 1 / 0.3), "Smallest and largest height-to-width ratio of the erased rectangle."
    )


@dataclasses.dataclass(frozen=True)
class MethodConfig:
    """LDLVA itself. All four switches off leaves plain cross-entropy."""

    label_distribution: bool = _setting(
        True, "Learn Eq. 6's target distribution; off: the given label."
    )
    adaptive_similarity: bool = _setting(
        True, "Correct the local similarity by the calibration score (Eq. 3); off: zeta = 1."
    )
    sample_uncertainty: bool = _setting(
        True, "Train lambda per sample (Eq. 6-9); off: --fixed_uncertainty for all."
    )
    discriminative_loss: bool = _setting(True, "Add Eq. 10 to the loss.")
    fixed_uncertainty: float = _setting(
        0.5, "lambda where it is not trained (--nosample_uncertainty)."
    )

    # Three seeds on real faces, 30 % noise: the bank equals forward within the error (README).
    neighbors: str = _setting(
        "bank",
        "bank: a step looks up what the network said of its neighbors at their last visit; "
        "forward: it runs the network on their images, exactly as the released code does, at "
        "three times the cost.",
        ("bank", "forward"),
    )
    bank_device_share: float = _setting(
        0.25,
        "The bank lies in a GPU's memory unless it would take more than this share of it; then "
        "in the host's.",
    )
    similarity_kernel: str = _setting("gaussian", "Form of Eq. 2.", ("gaussian", "laplace"))
    delta: float = _setting(0.5, "Width of the local similarity in the valence-arousal plane.")
    calibration_normalization: str = _setting(
        "layer", "Normalization inside g (Eq. 3).", ("layer", "batch")
    )
    calibration_floor: float | None = _setting(
        None, "Lower bound of g's logit: a number, or none (empty, too) for no bound."
    )
    uncertainty_form: str = _setting(
        "direct",
        "direct: lambda is the variable, projected to [0, 1]; "
        "logit: 1 - lambda = sigmoid(variable).",
        ("direct", "logit"),
    )
    uncertainty_init: float = _setting(
        0.0,
        "First value of the variable of --uncertainty_form, for every sample; within [0, 1] where "
        "lambda is the variable.",
    )
    log_epsilon: float = _setting(0.0, "Added to probabilities inside the logarithm of Eq. 1.")
    class_weights: str = _setting(
        "none",
        "Weight of a sample's classification loss; balanced: N / (C N_c).",
        ("none", "balanced"),
    )

    gamma: float = _setting(0.1, "Weight of the discriminative loss (Eq. 11).")
    center_rows: str = _setting(
        "main",
        "Rows that enter the center loss and move the centers: the batch, or its neighbors too. "
        "With the latter the centers' step is divided by the number of rows.",
        ("main", "main_and_neighbors"),
    )
    center_rate: float = _setting(0.5, "Step size of the centers.")
    separation_kernel: str = _setting(
        "ordered_sqrt", "Form of Eq. 10's second term.", ("ordered_sqrt", "unordered")
    )
    separation_in_loss: bool = _setting(
        True, "Report Eq. 10's second term in the loss (it moves the centers either way)."
    )
    separation_weight: float = _setting(
        1.0, "Factor of the second term's gradient in the centers' step."
    )


@dataclasses.dataclass(frozen=True)
class ComparatorConfig:
    """Which method trains the network, and what the methods beside LDLVA have to be told.

    Defaults are those of each method's paper, see `ldl_fer.comparators`.
    """

    method: str = _setting(
        "ldlva",
        "ldlva, or what it is compared with: cross_entropy; label_smoothing; scn (self-cure "
        "network); rul (relative uncertainty learning); eac (erasing attention consistency); "
        "ldl_alsg (neighbors as a constraint).",
        ("ldlva", "cross_entropy", "label_smoothing", "scn", "rul", "eac", "ldl_alsg"),
    )
    smoothing: float = _setting(
        0.1, "label_smoothing: part of each label that is spread over all classes."
    )
    scn_high_share: float = _setting(0.7, "scn: part of a batch that counts as important.")
    scn_margin: float = _setting(
        0.15, "scn: least distance of the mean importance of that part and of the rest."
    )
    scn_rank_weight: float = _setting(
        0.5, "scn: weight of the rank regularization; the classification loss has the rest."
    )
    scn_relabel_epoch: int = _setting(10, "scn: epochs before labels may change.")
    scn_relabel_margin: float = _setting(
        0.2, "scn: how much more probable another class must be for a label to become it."
    )
    eac_weight: float = _setting(5.0, "eac: weight of the consistency loss.")
    alsg_weight: float = _setting(1.0, "ldl_alsg: weight of the neighbor constraint.")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The network that is trained, and all that is left at test time."""

    backbone: str = _setting(
        "resnet50",
        "resnet18, resnet34, resnet50, resnet101, resnet152, mobilefacenet, small_cnn, or the path "
        "of a .h5, .keras or SavedModel whose output is a feature vector or map.",
    )
    trust_model: bool = _setting(False, TRUST_HELP)
    weights: str = _setting(
        "none",
        "imagenet: start from Keras' ImageNet weights, where it has them (download).",
        ("none", "imagenet"),
    )
    pretrained: str = _setting(
        "",
        "ONNX file of MobileFaceNet (face recognition) to start --backbone=mobilefacenet from; "
        "features are then the average of its last map. Needs the package onnx: pip install "
        "-r requirements.txt -r requirements-extras.txt, in one call.",
    )
    rectifier: str = _setting(
        "prelu",
        "Activations of mobilefacenet; those of the --pretrained file.",
        ("prelu", "relu6"),
    )
    frozen: bool = _setting(
        False,
        "Leave the pretrained mobilefacenet as it is and train a head on its pooled maps (2,304 "
        "numbers a face, computed once): whole tables in minutes on a CPU.",
    )
    head_units: int = _setting(512, "Features of the head that --frozen trains.")
    dropout: float = _setting(
        0.0, "Dropout between the features and the logits; with --frozen, before the features."
    )
    precision: str = _setting(
        "float32",
        "Arithmetic of the backbone in training. Weights, lambda, centers, bank look-ups and "
        "losses stay float32; with mixed_float16 the loss is scaled.",
        ("float32", "mixed_float16", "mixed_bfloat16"),
    )
    sync_batch_norm: bool = _setting(
        False,
        "Batch normalization takes the statistics of all devices' images together, not of each "
        "device's own.",
    )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Schedules and step sizes."""

    batch_size: int = _setting(32, "Images per step, over all devices.")
    micro_batch_size: int = _setting(
        0,
        "Images that a device passes through the network at a time; gradients are added up until "
        "the batch is complete, for batches that do not fit into memory. 0: all at once.",
    )
    epochs: int = _setting(30, "Passes over the training set.")
    learning_rate: float = _setting(1e-3, "Adam's step size for network and calibrator.")
    backbone_rate_factor: float = _setting(
        1.0, "Factor of the backbone's learning rate; below 1 it learns slower than the rest."
    )
    decay_epochs: tuple[int, ...] = _setting(
        (), "Epochs after which the learning rate is multiplied by --decay_factor, comma separated."
    )
    decay_factor: float = _setting(0.1, "See --decay_epochs.")
    uncertainty_learning_rate: float = _setting(
        10.0,
        "SGD step size for lambda. The gradient is that of the batch mean, hence the large number.",
    )
    uncertainty_momentum: float = _setting(0.0, "SGD momentum for lambda; touched rows only.")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Where and how a run happens."""

    run_dir: str = _setting("checkpoints/run", "Folder of the run: checkpoints, logs, results.")
    seed: int = _setting(0, "Seed of initial weights, split, order and augmentation.")
    strategy: str = _setting(
        "auto",
        "auto: the machines that the variable TF_CONFIG names, if there are several, else all "
        "visible GPUs, else the CPU; mirrored: one replica per device of this machine; none: "
        "one replica.",
        ("auto", "mirrored", "none"),
    )
    checkpoint_every: str = _setting(
        "10m",
        "When to save within an epoch: 500 for every 500 steps, 10m for every 10 minutes, 500,10m "
        "for both, 0 for never. The end of an epoch is saved in any case. On several machines "
        "steps count only.",
    )
    jit: bool = _setting(False, "Compile the network by XLA.")
    pictures: bool = _setting(
        True, "Draw neighbors and confusion matrix for TensorBoard after each epoch."
    )
