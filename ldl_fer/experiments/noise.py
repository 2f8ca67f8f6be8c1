"""Table 1: label noise."""

from ldl_fer.experiments.experiment import ALL, Experiment, Figure, Noise

EXPERIMENT = Experiment(
    name="noise",
    source="Table 1",
    question="How much accuracy on clean test faces is left when 10, 20, 30 % of the training "
    "labels are flipped to another class?",
    variants=ALL,
    noises=tuple(Noise("symmetric", rate) for rate in (0.1, 0.2, 0.3)),
    measure="test",
    metrics=("accuracy", "accuracy_last", "mean_class_accuracy", "nll", "kl", "flips_auc"),
    figure=Figure("accuracy_last", "noise", "test accuracy, last epoch"),
)
