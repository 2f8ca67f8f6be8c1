"""Table 4: what each part of the method adds."""

from ldl_fer.experiments.experiment import CLEAN, Experiment, Figure, Noise, Variant

_OFF = {
    "label_distribution": False,
    "adaptive_similarity": False,
    "sample_uncertainty": False,
    "discriminative_loss": False,
}
_PARTS = (
    ("(ii) + label distribution", {"label_distribution": True}),
    ("(iii) + adaptive similarity", {"adaptive_similarity": True}),
    ("(iv) + uncertainty", {"sample_uncertainty": True}),
    ("(v) + discriminative loss", {"discriminative_loss": True}),
)


def _variants():
    yield Variant("LDLVA", {"method": "cross_entropy"}, "(i) none")
    switches = dict(_OFF)
    for setting, switch in _PARTS:
        switches |= switch
        yield Variant("LDLVA", dict(switches), setting)


EXPERIMENT = Experiment(
    name="ablation",
    source="Table 4",
    question="What does each part add? (i) is plain cross-entropy; (ii) and (iii) mix label and "
    "neighborhood half and half; (v) is the whole method.",
    variants=tuple(_variants()),
    noises=(CLEAN, Noise("symmetric", 0.3)),
    measure="test",
    metrics=("accuracy", "accuracy_last", "mean_class_accuracy", "nll", "kl", "flips_auc"),
    figure=Figure("accuracy_last", "setting", "test accuracy, last epoch"),
)
