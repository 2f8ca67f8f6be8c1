"""Defines the paper's tables and figures as experiments, in the order of its section 4, and ours.

An experiment is methods x noises x seeds, a measure of each finished run, and how it is shown. To
add one, define it here, append it to `EXPERIMENTS` at the end, and give it a line in the help of
`command`; a measure that there is not yet goes to `measures.MEASURES`, numbers of papers to
published.csv.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ldl_fer.config.methods import METHOD_SETTINGS


@dataclasses.dataclass(frozen=True)
class Noise:
    """A way to make training labels wrong: a kind of `ldl-fer noise`, or "none"."""

    kind: str = "none"
    rate: float | None = None

    def __str__(self) -> str:
        if self.kind == "none":
            return "none"
        return self.kind if self.rate is None else f"{self.kind} {self.rate:g}"


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of the table.

    Attributes:
      method: its name there.
      settings: of `Config`, that differ from the user's.
      setting: the name that the table gives to the other settings; empty: none vary.
    """

    method: str
    settings: Mapping[str, Any]
    setting: str = ""


@dataclasses.dataclass(frozen=True)
class Figure:
    """Lines of means with standard errors, or dots in rows where `x` is the method.

    Attributes:
      metric: what is drawn, a column of `runs.csv`.
      x: over what: "noise" or "setting", or "method", whose axis is the vertical one. Of the runs
        themselves: "confidence" (reliability), or "class" (mean distributions).
      text: the label of the metric's axis.
      methods: those shown; empty: all.
    """

    metric: str
    x: str
    text: str = ""
    methods: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One table: of the paper, or ours.

    Attributes:
      name: of the command and of the folder of results.
      source: the table or figure of the paper that it repeats; empty: ours.
      question: the question that it answers.
      variants, noises: every pair is trained once per seed.
      measure: the function of `measures.MEASURES` that reads a finished run.
      metrics: columns of the table, out of what it measures.
      figure: is drawn beside the table.
      union: whether training images get the labels of two annotators, see `data.Sets`.
      chooses: whether chosen.csv is written, for --tuned: see `tuning`.
      more: further figures.
      repeats: other experiments whose runs are among its own: their published numbers are its own.
    """

    name: str
    source: str
    question: str
    variants: tuple[Variant, ...]
    noises: tuple[Noise, ...]
    measure: str
    metrics: tuple[str, ...]
    figure: Figure
    union: bool = False
    chooses: bool = False
    more: tuple[Figure, ...] = ()
    repeats: tuple[str, ...] = ()


def compared(*methods: str) -> tuple[Variant, ...]:
    """Returns the named methods with their papers' settings, as variants."""
    return tuple(Variant(TITLES[name], {"method": name}) for name in methods)


TITLES = {name: settings.title for name, settings in METHOD_SETTINGS.items()}
ALL = compared(*TITLES)
CLEAN = Noise()
CLEAN_AND_FLIPPED = (CLEAN, Noise("symmetric", 0.3))
CONFUSED = (Noise("pair", 0.3), Noise("votes", 0.3))  # wrong in a way that follows the classes
_ACCURACIES = ("accuracy", "accuracy_last", "accuracy_last5", "mean_class_accuracy")
_ACCURACY = "test accuracy, last epoch"
_FEW = tuple(TITLES[name] for name in ("cross_entropy", "scn", "eac", "resup", "ltnet", "ldlva"))

NOISE = Experiment(
    name="noise",
    source="Table 1",
    question="How much accuracy on clean test faces is left when 10, 20, 30 % of the training "
    "labels are flipped to another class?",
    variants=ALL,
    noises=tuple(Noise("symmetric", rate) for rate in (0.1, 0.2, 0.3)),
    measure="test",
    metrics=(*_ACCURACIES, "nll", "kl", "flips_auc"),
    figure=Figure("accuracy_last", "noise", _ACCURACY),
)

INCONSISTENT = Experiment(
    name="inconsistent",
    source="Table 2",
    question="Trained on the union of two data sets whose annotators differ, how well does a "
    "network do by either's labels?",
    variants=ALL,
    noises=(CLEAN,),
    measure="test",
    metrics=(*_ACCURACIES, "nll", "kl"),
    figure=Figure("accuracy_last", "method", _ACCURACY),
    union=True,
)

ORIGINAL = Experiment(
    name="original",
    source="Table 3",
    question="How accurate is each method on a data set as it is?",
    variants=ALL,
    noises=(CLEAN,),
    measure="test",
    metrics=(*_ACCURACIES, "macro_f1", "nll", "kl"),
    figure=Figure("accuracy_last", "method", _ACCURACY),
)

FIELD = Experiment(
    name="field",
    source="",
    question="How does each method stand with clean labels, flipped ones, classes confused in "
    "pairs, and labels that go wrong where people disagree? (minutes: of training; million "
    "parameters: all that training holds, layers and memories of samples.)",
    variants=ALL,
    noises=(CLEAN, *NOISE.noises, *CONFUSED),
    measure="test",
    metrics=(
        *_ACCURACIES,
        *("nll", "expected_calibration_error", "kl", "jensen_shannon", "flips_auc", "minutes"),
        "million_parameters",
    ),
    figure=Figure("accuracy_last", "method", _ACCURACY),
    more=(
        Figure("accuracy_last", "noise", _ACCURACY, _FEW),
        Figure("accuracy", "confidence", methods=_FEW),
    ),
    repeats=("original", "noise"),
)

_PARTS = {  # as Table 4 abbreviates them
    "LD": "label_distribution",
    "AS": "adaptive_similarity",
    "UF": "sample_uncertainty",
    "DL": "discriminative_loss",
}


def _with_parts(number: str, *names: str) -> Variant:
    """Returns LDLVA with the named parts and no others; without UF lambda is 0.5 for all."""
    switches = {switch: name in names for name, switch in _PARTS.items()}
    return Variant("LDLVA", switches | {"fixed_uncertainty": 0.5}, f"{number} {' + '.join(names)}")


ABLATION = Experiment(
    name="ablation",
    source="Table 4",
    question="What does each part add? (i) is plain cross-entropy. LD: label distribution, AS: "
    "adaptive similarity, UF: uncertainty factor, DL: discriminative loss. (ii) has no UF: "
    "lambda is 0.5 for all samples, which the paper leaves open. (iv) has no AS: contributions "
    "are local similarities. (v) is the whole method.",
    variants=(
        Variant("LDLVA", {"method": "cross_entropy"}, "(i) baseline"),
        _with_parts("(ii)", "LD", "AS"),
        _with_parts("(iii)", "LD", "AS", "UF"),
        _with_parts("(iv)", "LD", "UF", "DL"),
        _with_parts("(v)", "LD", "AS", "UF", "DL"),
    ),
    noises=CLEAN_AND_FLIPPED,
    measure="test",
    metrics=(*_ACCURACIES, "nll", "kl", "flips_auc"),
    figure=Figure("accuracy_last", "setting", _ACCURACY),
)

VOTES = Experiment(
    name="votes",
    source="Figures 3 and 5",
    question="How far are the distributions made for training faces, and those predicted for test "
    "faces, from what ten people said? (scaled: by the temperature that fits validation labels.)",
    variants=compared("cross_entropy", "label_smoothing", "pdls", "ldlva"),
    noises=CLEAN_AND_FLIPPED,
    measure="votes",
    metrics=("kl", "jensen_shannon", "chebyshev", "cosine", "clark", "canberra", "intersection"),
    figure=Figure("jensen_shannon", "method", "Jensen-Shannon divergence from the votes, nats"),
    more=(Figure("kl", "class"),),
)

UNCERTAINTY = Experiment(
    name="uncertainty",
    source="Figure 6",
    question="How well do lambda and the constructed distribution find flipped labels, beside "
    "cleanlab and ranking by loss, and does lambda follow the entropy of human votes? (5 folds: "
    "each label judged by a training of the method that has not seen it.)",
    variants=compared("cross_entropy", "ldlva"),
    noises=(*CLEAN_AND_FLIPPED, *CONFUSED),
    measure="uncertainty",
    metrics=(
        "roc_auc",
        "average_precision",
        "precision_at_rate",
        "issues_precision",
        "issues_recall",
        "entropy_correlation",
    ),
    figure=Figure("roc_auc", "method", "flips found, ROC-AUC"),
)

NEIGHBORS = Experiment(
    name="neighbors",
    source="Figure 7",
    question="How many neighbors does a label distribution need? They are no rows of the center "
    "loss, whose weight would else fall with K.",
    variants=tuple(
        Variant("LDLVA", {"num_neighbors": count, "center_rows": "main"}, f"K {count}")
        for count in (1, 2, 4, 8, 16, 32)
    ),
    noises=CLEAN_AND_FLIPPED,
    measure="test",
    metrics=("accuracy", "accuracy_last", "nll", "kl", "flips_auc"),
    figure=Figure("accuracy_last", "setting", _ACCURACY),
)

RANDOM_SPACE, LABEL_SPACE = "random.npz", "clean_labels.npz"  # made by `data.Sets.space`

AUXILIARY = Experiment(
    name="auxiliary",
    source="section 3.2",
    question="How much hangs on the space of the neighbors? The paper finds valence and arousal "
    "closer to emotions than landmarks. random: places that say nothing; clean labels: neighbors "
    "of the sample's label before any was flipped, more than a space can know.",
    variants=tuple(
        Variant("LDLVA", {"auxiliary": space}, name)
        for name, space in (
            ("random", RANDOM_SPACE),
            ("valence-arousal", "valence_arousal"),
            ("landmarks", "landmarks"),
            ("both", "both"),
            ("clean labels", LABEL_SPACE),
        )
    ),
    noises=CLEAN_AND_FLIPPED,
    measure="auxiliary",
    metrics=("label_agreement", "accuracy", "accuracy_last", "flips_auc", "kl", "kl_neighbors"),
    figure=Figure("accuracy_last", "setting", _ACCURACY),
)

# Each method's one free scalar, its default among the values. Methods without a scalar that matters
# have the learning rate; RAN's pass needs pictures and is left to its paper's constants.
FREE_SCALARS: Mapping[str, tuple[str, tuple[float, ...]]] = MappingProxyType(
    {
        "cross_entropy": ("learning_rate", (3e-4, 1e-3, 3e-3)),
        "label_smoothing": ("smoothing", (0.05, 0.1, 0.2)),
        "scn": ("scn_relabel_margin", (0.2, 0.4, 0.6)),
        "rul": ("learning_rate", (3e-4, 1e-3, 3e-3)),
        "eac": ("eac_weight", (1.0, 2.0, 5.0)),
        "ldl_alsg": ("alsg_weight", (5e-4, 5e-3, 5e-2)),
        "gce": ("gce_exponent", (0.3, 0.5, 0.7)),
        "sce": ("sce_weight", (0.1, 0.3, 1.0)),
        "elr": ("elr_weight", (1.0, 3.0, 7.0)),
        "mixup": ("mixup_alpha", (0.2, 0.5, 1.0)),
        "nal": ("learning_rate", (3e-4, 1e-3, 3e-3)),
        "resup": ("resup_weight", (1.0, 2.5, 5.0)),
        "island_loss": ("island_weight", (0.001, 0.003, 0.01)),
        "air": ("air_weight", (1.0, 3.0, 10.0)),
        "pdls": ("pdls_label_share", (0.6, 0.8, 0.9)),
        "ltnet": ("learning_rate", (3e-4, 1e-3, 3e-3)),
        "ldt": ("learning_rate", (3e-4, 1e-3, 3e-3)),
        "dacl": ("dacl_weight", (0.001, 0.003, 0.01)),
        "dmue": ("dmue_soft_weight", (0.25, 0.5, 1.0)),
        "soft": ("soft_weight", (1.0, 3.0, 10.0)),
        "mek": ("mek_smoothing", (0.1, 0.2, 0.3)),
        "nla": ("nla_weight", (4.0, 8.0, 16.0)),
        "la_net": ("la_weight", (0.3, 1.0, 3.0)),
        "ada_df": ("ada_threshold", (0.5, 0.7, 0.9)),
        "ldlva": ("uncertainty_learning_rate", (2.0, 5.0, 10.0)),
    }
)

TUNING = Experiment(
    name="tuning",
    source="",
    question="Which value of its one free scalar is best for each method? Judged on validation "
    "faces alone, clean and with 30 % flipped: the highest mean of the two counts.",
    variants=tuple(
        Variant(TITLES[name], {"method": name, scalar: value}, f"{scalar} {value:g}")
        for name, (scalar, values) in FREE_SCALARS.items()
        for value in values
    ),
    noises=CLEAN_AND_FLIPPED,
    measure="validation",
    metrics=("validation_accuracy", "validation_accuracy_last5"),
    figure=Figure("validation_accuracy", "method", "validation accuracy, best epoch"),
    chooses=True,
)

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        experiment.name: experiment
        for experiment in (
            *(NOISE, INCONSISTENT, ORIGINAL, FIELD, ABLATION, VOTES, UNCERTAINTY, NEIGHBORS),
            *(AUXILIARY, TUNING),
        )
    }
)
