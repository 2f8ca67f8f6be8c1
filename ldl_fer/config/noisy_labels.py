"""Settings of the general methods against wrong labels; their papers' values are the defaults."""

import dataclasses

from ldl_fer.config.checks import positive, share
from ldl_fer.config.method_settings import MethodSettings
from ldl_fer.config.settings import setting


@dataclasses.dataclass(frozen=True)
class GCESettings(MethodSettings):
    """Generalized cross-entropy."""

    title = "GCE"
    summary = "generalized cross-entropy"
    paper = "Zhang and Sabuncu, NeurIPS 2018"

    gce_exponent: float = setting(
        0.7, "gce: q, between cross-entropy (near 0) and absolute error (1).", positive, share
    )


@dataclasses.dataclass(frozen=True)
class SCESettings(MethodSettings):
    """Symmetric cross-entropy."""

    title = "SCE"
    summary = "symmetric cross-entropy"
    paper = "Wang et al., ICCV 2019"

    sce_weight: float = setting(0.1, "sce: weight of the cross-entropy.")
    sce_reverse_weight: float = setting(1.0, "sce: weight of the reverse cross-entropy.")


@dataclasses.dataclass(frozen=True)
class ELRSettings(MethodSettings):
    """Early-learning regularization."""

    title = "ELR"
    summary = "early-learning regularization"
    paper = "Liu et al., NeurIPS 2020"

    elr_momentum: float = setting(
        0.7, "elr: part of a sample's remembered prediction that a visit keeps.", share
    )
    elr_weight: float = setting(3.0, "elr: weight of the regularization.")


@dataclasses.dataclass(frozen=True)
class MixupSettings(MethodSettings):
    """Mixed pictures and labels."""

    title = "mixup"
    summary = "mixed pictures"
    paper = "Zhang et al., ICLR 2018"

    mixup_alpha: float = setting(
        0.2, "mixup: both parameters of the beta distribution of a picture's share.", positive
    )


@dataclasses.dataclass(frozen=True)
class NALSettings(MethodSettings):
    """The noise adaptation layer."""

    title = "NAL"
    summary = "noise adaptation layer"
    paper = "Goldberger and Ben-Reuven, ICLR 2017"

    nal_channel: str = setting(
        "simple",
        "nal: whether labels go wrong alike for all faces of a class (simple) or by a face's "
        "features (complex).",
        choices=("simple", "complex"),
    )
    nal_plain_share: float = setting(
        1 / 3, "nal: part of the epochs that are plain training, before the channel.", share
    )
    nal_noise: float = setting(
        0.46, "nal: part of wrong labels that the channel starts from without a plain epoch.", share
    )
    nal_plain_weight: float = setting(
        0.0, "nal: weight of plain cross-entropy beside the channel's, which has the rest.", share
    )


@dataclasses.dataclass(frozen=True)
class ReSupSettings(MethodSettings):
    """Reliable supervision by two networks."""

    title = "ReSup"
    summary = "two networks that weigh each other's samples"
    paper = "TAFFC 2025"

    resup_weight: float = setting(5.0, "resup: weight of the distance of both predictions.")


@dataclasses.dataclass(frozen=True)
class AIRSettings(MethodSettings):
    """Auxiliary image regularization."""

    title = "AIR"
    summary = "auxiliary image regularization"
    paper = "Azadi et al., ICLR 2016"

    air_weight: float = setting(10.0, "air: weight of the last layer's group norm.")
