"""Figure 6 in numbers: does the uncertainty know which labels are wrong?"""

from ldl_fer.experiments.experiment import CLEAN, Experiment, Figure, Noise, compared

EXPERIMENT = Experiment(
    name="uncertainty",
    source="Figure 6",
    question="How well do lambda and the constructed distribution find flipped labels, beside "
    "cleanlab and ranking by loss, and does lambda follow the entropy of human votes?",
    variants=compared("cross_entropy", "ldlva"),
    noises=(CLEAN, Noise("symmetric", 0.3)),
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
