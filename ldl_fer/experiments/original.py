"""Table 3: the data set as it is."""

from ldl_fer.experiments.experiment import ALL, CLEAN, Experiment, Figure

EXPERIMENT = Experiment(
    name="original",
    source="Table 3",
    question="How accurate is each method on a data set as it is?",
    variants=ALL,
    noises=(CLEAN,),
    measure="test",
    metrics=("accuracy", "accuracy_last", "mean_class_accuracy", "macro_f1", "nll", "kl"),
    figure=Figure("accuracy_last", "method", "test accuracy, last epoch"),
)
