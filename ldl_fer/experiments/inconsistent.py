"""Table 2: two annotators who differ."""

from ldl_fer.experiments.experiment import ALL, CLEAN, Experiment, Figure

EXPERIMENT = Experiment(
    name="inconsistent",
    source="Table 2",
    question="Trained on the union of two data sets whose annotators differ, how well does a "
    "network do by either's labels?",
    variants=ALL,
    noises=(CLEAN,),
    measure="test",
    metrics=("accuracy", "accuracy_last", "mean_class_accuracy", "nll", "kl"),
    figure=Figure("accuracy_last", "method", "test accuracy, last epoch"),
    union=True,
)
