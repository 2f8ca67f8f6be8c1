"""Defines the paper's tables and figures as experiments, in the order of its section 4.

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
    """Lines of means with standard errors, or bars where `x` is the method.

    Attributes:
      metric: the vertical axis, a column of `runs.csv`.
      x: the horizontal axis: "noise", "setting" or "method".
      text: the label of the vertical axis.
    """

    metric: str
    x: str
    text: str


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One table of the paper.

    Attributes:
      name: of the command and of the folder of results.
      source: the table or figure of the paper that it repeats.
      question: the question that it answers.
      variants, noises: every pair is trained once per seed.
      measure: the function of `measures.MEASURES` that reads a finished run.
      metrics: columns of the table, out of what it measures.
      figure: is drawn beside the table.
      union: whether training images get the labels of two annotators, see `data.Sets`.
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


def compared(*methods: str) -> tuple[Variant, ...]:
    """Returns the named methods with their papers' settings, as variants."""
    return tuple(Variant(TITLES[name], {"method": name}) for name in methods)


TITLES = {name: settings.title for name, settings in METHOD_SETTINGS.items()}
ALL = compared(*TITLES)
CLEAN = Noise()
CLEAN_AND_FLIPPED = (CLEAN, Noise("symmetric", 0.3))
_ACCURACIES = ("accuracy", "accuracy_last", "accuracy_last5", "mean_class_accuracy")
_ACCURACY = "test accuracy, last epoch"

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
    "faces, from what ten people said?",
    variants=compared("cross_entropy", "label_smoothing", "ldlva"),
    noises=CLEAN_AND_FLIPPED,
    measure="votes",
    metrics=("kl", "jensen_shannon", "chebyshev", "cosine", "clark", "canberra", "intersection"),
    figure=Figure("jensen_shannon", "method", "Jensen-Shannon divergence from the votes, nats"),
)

UNCERTAINTY = Experiment(
    name="uncertainty",
    source="Figure 6",
    question="How well do lambda and the constructed distribution find flipped labels, beside "
    "cleanlab and ranking by loss, and does lambda follow the entropy of human votes?",
    variants=compared("cross_entropy", "ldlva"),
    noises=CLEAN_AND_FLIPPED,
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

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        experiment.name: experiment
        for experiment in (
            *(NOISE, INCONSISTENT, ORIGINAL, ABLATION, VOTES, UNCERTAINTY, NEIGHBORS, AUXILIARY),
        )
    }
)
