"""Settings of methods for facial expressions; their papers' values are the defaults."""

import dataclasses
from types import MappingProxyType

from ldl_fer.config.checks import positive, share
from ldl_fer.config.method_settings import MethodSettings
from ldl_fer.config.settings import setting
from ldl_fer.errors import InputError


@dataclasses.dataclass(frozen=True)
class IslandLossSettings(MethodSettings):
    """Island Loss."""

    title = "Island Loss"
    summary = "class centers far apart in angle"
    paper = "Cai et al., FG 2018"

    island_weight: float = setting(0.01, "island_loss: weight of the island loss.")
    island_angle_weight: float = setting(
        10.0, "island_loss: weight of the centers' angles in the island loss."
    )
    island_center_rate: float = setting(0.5, "island_loss: step size of the centers.")


@dataclasses.dataclass(frozen=True)
class PDLSSettings(MethodSettings):
    """Smoothing by a prior."""

    title = "PDLS"
    summary = "labels smoothed by how humans vote"
    paper = "Vo et al., IEEE Access 2020"

    pdls_label_share: float = setting(
        0.8, "pdls: part of the target that is the label; the prior has the rest.", share
    )
    pdls_prior: str = setting(
        "",
        "pdls: where the prior is from: an annotation CSV with votes, or a confusion matrix, as a "
        "CSV or in the result.json of an evaluation. Empty: the training set's votes, or those of "
        "FER+ where it has none.",
    )


@dataclasses.dataclass(frozen=True)
class LDTSettings(MethodSettings):
    """Label distribution training."""

    title = "LDT"
    summary = "a teacher's distributions in place of labels"
    paper = "Zhao et al., AAAI 2021"
    taught_by = "ldt_teacher"

    ldt_teacher: str = setting(
        "", "ldt: folder of a finished run, whose network says what each face is."
    )


@dataclasses.dataclass(frozen=True)
class LTNetSettings(MethodSettings):
    """A transition matrix per annotator."""

    title = "LTNet"
    summary = "a transition matrix per annotator"
    paper = "Zeng et al., ECCV 2018"

    ltnet_plain_share: float = setting(
        1 / 3, "ltnet: part of the epochs that are plain training, before the matrices move.", share
    )
    ltnet_machine_runs: tuple[str, ...] = setting(
        (),
        "ltnet: folders of finished runs, comma separated, whose networks label each face, too "
        "(IPA2LT).",
    )
    ltnet_machine_weight: float = setting(
        1 / 6, "ltnet: weight of each such label; that of a person's is 1."
    )

    def check(self) -> None:
        """Raises InputError where a folder has no name."""
        if "" in self.ltnet_machine_runs:
            raise InputError("ltnet_machine_runs has an empty name: give folders, as RUN,RUN")


@dataclasses.dataclass(frozen=True)
class DACLSettings(MethodSettings):
    """Deep attentive center loss."""

    title = "DACL"
    summary = "deep attentive center loss"
    paper = "Farzaneh and Qi, WACV 2021"

    dacl_weight: float = setting(0.01, "dacl: weight of the sparse center loss.")
    dacl_center_rate: float = setting(0.5, "dacl: step size of the centers.")
    dacl_units: tuple[int, ...] = setting(
        (3584, 512, 64), "dacl: units of the three hidden layers of the attention.", positive
    )

    def check(self) -> None:
        """Raises InputError unless there are three layers."""
        if len(self.dacl_units) != 3:
            raise InputError(f"dacl_units is three numbers, not {self.dacl_units}")


@dataclasses.dataclass(frozen=True)
class RANSettings(MethodSettings):
    """The region attention network."""

    title = "RAN"
    summary = "attention to a face and five crops of it"
    paper = "Wang et al., TIP 2020"
    needs_pictures = True

    ran_margin: float = setting(
        0.1, "ran: how much more than the whole face the best crop should count."
    )


@dataclasses.dataclass(frozen=True)
class DMUESettings(MethodSettings):
    """Dive into ambiguity: latent distributions mined by branches."""

    title = "DMUE"
    summary = "a branch per class that mines what else its faces could be"
    paper = "She et al., CVPR 2021"
    beside = MappingProxyType({"sampling": "balanced"})

    dmue_turn: float = setting(
        9.0,
        "dmue: epoch until which the branches learn and the network's losses rise, counted from 0.",
        positive,
    )
    dmue_soft_weight: float = setting(0.5, "dmue: weight of the mined distributions.")
    dmue_similarity_weight: float = setting(
        1000.0, "dmue: weight of the distance of branches and network in pairs of faces."
    )
    dmue_units: int = setting(512, "dmue: units of each branch's hidden layer.", positive)
    dmue_train_confidence: bool = setting(
        True, "dmue: whether the confidence learns; off, as in the authors' released code."
    )


@dataclasses.dataclass(frozen=True)
class SOFTSettings(MethodSettings):
    """A smoothed mean teacher."""

    title = "SOFT"
    summary = "a smoothed mean teacher"
    paper = "Lukov et al., ECCV 2022"
    tuned_at = MappingProxyType({"soft_ramp_steps": 64})

    soft_smoothing: float = setting(
        0.3, "soft: part of the teacher's distribution that goes to classes it leaves out.", share
    )
    soft_weight: float = setting(10.0, "soft: weight of the consistency loss, once it has risen.")
    soft_ramp_steps: int = setting(
        960,
        "soft: steps over which that weight rises; the default is the authors' 5 epochs of RAF-DB.",
        positive,
    )


@dataclasses.dataclass(frozen=True)
class MEKSettings(MethodSettings):
    """Mine extra knowledge."""

    title = "MEK"
    summary = "consistency and smoothing for rare classes"
    paper = "Zhang et al., NeurIPS 2023"
    beside = MappingProxyType({"erase_probability": 0.5, "erase_area": (0.02, 0.25)})

    mek_smoothing: float = setting(
        0.3, "mek: part of each label that other classes get, rare ones more.", share
    )
    mek_weight: float = setting(0.1, "mek: weight of the consistency loss.")


@dataclasses.dataclass(frozen=True)
class NLASettings(MethodSettings):
    """Noise-aware learning."""

    title = "NLA"
    summary = "samples in doubt count more"
    paper = "AAAI 2025"
    beside = MappingProxyType({"erase_probability": 0.5, "erase_area": (0.02, 0.3)})
    tuned_at = MappingProxyType({"nla_weight": 32})

    nla_share: float = setting(
        0.5, "nla: part of the cross-entropy that is weighted by doubt.", share
    )
    nla_weight: float = setting(
        16.0, "nla: weight of the divergence of a face and its mirror image."
    )


@dataclasses.dataclass(frozen=True)
class LANetSettings(MethodSettings):
    """LA-Net's label part."""

    title = "LA-Net (labels)"
    summary = "neighbors of the batch and a memory of targets"
    paper = "Wu and Cui, ICCV 2023"
    tuned_at = MappingProxyType({"la_neighbors": 128})

    la_neighbors: int = setting(
        8, "la_net: neighbors of a sample in its batch, in each of both spaces.", positive
    )
    la_momentum: float = setting(0.9, "la_net: part of a target that a visit keeps.", share)
    la_weight: float = setting(1.0, "la_net: weight of the divergence from the target.")


@dataclasses.dataclass(frozen=True)
class AdaDFSettings(MethodSettings):
    """Adaptive distribution fusion."""

    title = "Ada-DF"
    summary = "adaptive distribution fusion"
    paper = "Liu et al., ICASSP 2023"
    tuned_at = MappingProxyType({"ada_margin": 64})

    ada_threshold: float = setting(
        0.7, "ada_df: least part that a class's mean distribution gives to the class itself.", share
    )
    ada_turn: float = setting(
        3.0, "ada_df: epoch until which the auxiliary branch leads.", positive
    )
    ada_high_share: float = setting(0.7, "ada_df: part of a batch that counts as important.", share)
    ada_margin: float = setting(
        0.07, "ada_df: least distance of the mean attention of that part and of the rest."
    )
