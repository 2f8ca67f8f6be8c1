"""Figures 3 and 5 in numbers: distributions against human votes."""

from ldl_fer.experiments.experiment import CLEAN, Experiment, Figure, Noise, compared

EXPERIMENT = Experiment(
    name="votes",
    source="Figures 3 and 5",
    question="How far are the distributions made for training faces, and those predicted for test "
    "faces, from what ten people said?",
    variants=compared("cross_entropy", "label_smoothing", "ldlva"),
    noises=(CLEAN, Noise("symmetric", 0.3)),
    measure="votes",
    metrics=("kl", "jensen_shannon", "chebyshev", "cosine"),
    figure=Figure("jensen_shannon", "method", "Jensen-Shannon divergence from the votes, nats"),
)
