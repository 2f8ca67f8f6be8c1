"""Figure 7: the number of neighbors."""

from ldl_fer.experiments.experiment import CLEAN, Experiment, Figure, Noise, Variant

EXPERIMENT = Experiment(
    name="neighbors",
    source="Figure 7",
    question="How many neighbors does a label distribution need?",
    variants=tuple(
        Variant("LDLVA", {"num_neighbors": count}, f"K {count}") for count in (1, 2, 4, 8, 16, 32)
    ),
    noises=(CLEAN, Noise("symmetric", 0.3)),
    measure="test",
    metrics=("accuracy", "accuracy_last", "nll", "kl", "flips_auc"),
    figure=Figure("accuracy_last", "setting", "test accuracy, last epoch"),
)
