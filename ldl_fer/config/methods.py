"""The methods' settings: a dataclass for each, with its paper's values as defaults.

A class here also says how the method is called and where it is from, since commands show that
without loading TensorFlow. `ldl_fer.methods` trains by them.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from ldl_fer.config import expressions, noisy_labels
from ldl_fer.config.checks import any_sign, positive, share
from ldl_fer.config.method_settings import MethodSettings
from ldl_fer.config.settings import setting
from ldl_fer.errors import InputError


@dataclasses.dataclass(frozen=True)
class CrossEntropySettings(MethodSettings):
    """Plain training has none."""

    title = "cross-entropy"
    summary = "plain training"


@dataclasses.dataclass(frozen=True)
class LabelSmoothingSettings(MethodSettings):
    """Label smoothing."""

    title = "label smoothing"
    summary = "a bit of doubt in every label"
    paper = "Szegedy et al., CVPR 2016"

    smoothing: float = setting(
        0.1, "label_smoothing: part of each label that is spread over all classes.", share
    )


@dataclasses.dataclass(frozen=True)
class SCNSettings(MethodSettings):
    """The self-cure network."""

    title = "SCN"
    summary = "self-cure network"
    paper = "Wang et al., CVPR 2020"
    tuned_at = MappingProxyType({"scn_margin": 64})

    scn_high_share: float = setting(0.7, "scn: part of a batch that counts as important.", share)
    scn_margin: float = setting(
        0.07,
        "scn: least distance of the mean importance of that part and of the rest. The paper's 0.15 "
        "is for batches of 1024, 0.07 its authors' advice for 64.",
    )
    scn_rank_weight: float = setting(
        0.5,
        "scn: weight of the rank regularization; the classification loss has the rest.",
        share,
    )
    scn_relabel_epoch: int = setting(
        10, "scn: first epoch in which labels may change, counted from 1."
    )
    scn_relabel_margin: float = setting(
        0.2, "scn: how much more probable another class must be for a label to become it."
    )


@dataclasses.dataclass(frozen=True)
class RULSettings(MethodSettings):
    """Relative uncertainty learning has none: sizes of its layers stand in its file."""

    title = "RUL"
    summary = "relative uncertainty learning"
    paper = "Zhang, Wang and Deng, NeurIPS 2021"


@dataclasses.dataclass(frozen=True)
class EACSettings(MethodSettings):
    """Erasing attention consistency."""

    title = "EAC"
    summary = "erasing attention consistency"
    paper = "Zhang et al., ECCV 2022"
    beside = MappingProxyType(
        {"erase_probability": 0.5, "erase_area": (0.02, 0.25), "erase_apart": True}
    )
    beside_clean_labels = MappingProxyType({"erase_apart": False})

    eac_weight: float = setting(5.0, "eac: weight of the consistency loss.")
    eac_plain_share: float = setting(
        0.0,
        "eac: part of the epochs that are without the consistency, before it: a network without "
        "batch normalization that knows no expressions yet can collapse under it.",
        share,
    )


@dataclasses.dataclass(frozen=True)
class LDLALSGSettings(MethodSettings):
    """The neighbor constraint; Eq. 2's form is that of `LDLVASettings`."""

    title = "neighbor constraint"
    summary = "neighbors as a constraint"
    paper = "after Chen et al., CVPR 2020"

    alsg_graph: str = setting(
        "batch",
        "ldl_alsg: batch: neighbors are the nearest of the batch, and learn, too; training_set, "
        "ours: those of LDLVA, as they were predicted at their last visits.",
        choices=("batch", "training_set"),
    )
    alsg_neighbors: int = setting(
        5,
        "ldl_alsg: neighbors of a sample in its batch; of the training set: --num_neighbors.",
        positive,
    )
    alsg_weight: float = setting(
        5e-4,
        "ldl_alsg: weight of the neighbor constraint; of the sum over a batch's neighbors, or of "
        "the mean over the training set's, where ours was 1.",
    )


@dataclasses.dataclass(frozen=True)
class LDLVASettings(MethodSettings):
    """LDLVA. All four switches off leaves plain cross-entropy."""

    title = "LDLVA"
    summary = "the paper's method"
    paper = "Le et al., WACV 2023"
    tuned_at = MappingProxyType({"uncertainty_learning_rate": 32})

    label_distribution: bool = setting(
        True, "Learn Eq. 6's target distribution; off: the given label."
    )
    adaptive_similarity: bool = setting(
        True, "Correct the local similarity by the calibration score (Eq. 3); off: zeta = 1."
    )
    sample_uncertainty: bool = setting(
        True, "Train lambda per sample (Eq. 6-9); off: --fixed_uncertainty for all."
    )
    discriminative_loss: bool = setting(True, "Add Eq. 10 to the loss.")
    fixed_uncertainty: float = setting(
        0.5, "lambda where it is not trained (--nosample_uncertainty).", share
    )

    # Three seeds, 30 % noise: the bank equals forward within the error (docs/results.md).
    neighbors: str = setting(
        "bank",
        "bank: a step looks up what the network said of its neighbors at their last visit; "
        "forward: it runs the network on their images, exactly as the released code does, at "
        "three times the cost.",
        choices=("bank", "forward"),
    )
    bank_device_share: float = setting(
        0.25,
        "The bank lies in a GPU's memory unless it would take more than this share of it; then "
        "in the host's.",
        share,
    )
    similarity_kernel: str = setting("gaussian", "Form of Eq. 2.", choices=("gaussian", "laplace"))
    delta: float = setting(
        0.5, "Width of the local similarity in the valence-arousal plane.", positive
    )
    calibration_normalization: str = setting(
        "layer", "Normalization inside g (Eq. 3).", choices=("layer", "batch")
    )
    calibration_units: tuple[int, ...] = setting(
        (512, 256), "Units of g's hidden layers, two numbers; most of a frozen head's step."
    )
    calibration_floor: float | None = setting(
        None, "Lower bound of g's logit: a number, or none (empty, too) for no bound.", any_sign
    )
    uncertainty_form: str = setting(
        "direct",
        "direct: lambda is the variable, projected to [0, 1]; "
        "logit: 1 - lambda = sigmoid(variable).",
        choices=("direct", "logit"),
    )
    uncertainty_init: float = setting(
        0.0,
        "First value of the variable of --uncertainty_form, for every sample; within [0, 1] where "
        "lambda is the variable.",
        any_sign,
    )
    log_epsilon: float = setting(0.0, "Added to probabilities inside the logarithm of Eq. 1.")

    gamma: float = setting(0.1, "Weight of the discriminative loss (Eq. 11).")
    center_rows: str = setting(
        "main",
        "Rows that enter the center loss and move the centers: the batch, or its neighbors too. "
        "With the latter the centers' step is divided by the number of rows.",
        choices=("main", "main_and_neighbors"),
    )
    center_rate: float = setting(0.5, "Step size of the centers.")
    separation_kernel: str = setting(
        "ordered_sqrt", "Form of Eq. 10's second term.", choices=("ordered_sqrt", "unordered")
    )
    separation_in_loss: bool = setting(
        True, "Report Eq. 10's second term in the loss (it moves the centers either way)."
    )
    separation_weight: float = setting(
        1.0, "Factor of the second term's gradient in the centers' step."
    )

    uncertainty_learning_rate: float = setting(
        10.0,
        "SGD step size for lambda. The gradient is that of the batch mean, hence the large number.",
    )
    uncertainty_momentum: float = setting(0.0, "SGD momentum for lambda; touched rows only.", share)
    uncertainty_frequencies: float = setting(
        0.0,
        "Ours; 0: the paper. Part of lambda's gradient by class frequencies, CE(d~, p) - CE(l, p), "
        "that is taken off: a rare class's label is no evidence against itself.",
        share,
    )

    def check(self) -> None:
        """Raises InputError where lambda is the variable and starts outside of [0, 1].

        Or where g's hidden layers are not two.
        """
        if len(self.calibration_units) != 2:
            raise InputError(f"calibration_units is two numbers, not {self.calibration_units}")
        start = self.uncertainty_init
        if self.uncertainty_form == "direct" and not 0 <= start <= 1:
            raise InputError(
                f"uncertainty_init is {start}, and with uncertainty_form direct it is lambda, "
                "which lies in [0, 1]; give such a number, or uncertainty_form logit"
            )


METHOD_SETTINGS: Mapping[str, type[MethodSettings]] = MappingProxyType(
    {
        "cross_entropy": CrossEntropySettings,
        "label_smoothing": LabelSmoothingSettings,
        "scn": SCNSettings,
        "rul": RULSettings,
        "eac": EACSettings,
        "ldl_alsg": LDLALSGSettings,
        "gce": noisy_labels.GCESettings,
        "sce": noisy_labels.SCESettings,
        "elr": noisy_labels.ELRSettings,
        "mixup": noisy_labels.MixupSettings,
        "nal": noisy_labels.NALSettings,
        "resup": noisy_labels.ReSupSettings,
        "island_loss": expressions.IslandLossSettings,
        "air": noisy_labels.AIRSettings,
        "pdls": expressions.PDLSSettings,
        "ltnet": expressions.LTNetSettings,
        "ldt": expressions.LDTSettings,
        "dacl": expressions.DACLSettings,
        "ran": expressions.RANSettings,
        "dmue": expressions.DMUESettings,
        "soft": expressions.SOFTSettings,
        "mek": expressions.MEKSettings,
        "nla": expressions.NLASettings,
        "la_net": expressions.LANetSettings,
        "ada_df": expressions.AdaDFSettings,
        "ldlva": LDLVASettings,
    }
)
