"""Figure 6: on which labels lambda is high."""

import numpy as np
from matplotlib.figure import Figure

from ldl_fer import face_plots
from ldl_fer.audit.training_set import TrainingSet
from ldl_fer.figures.faces import caption, pictures, vote_shares
from ldl_fer.metrics import flip_detection
from ldl_fer.samples_csv import shares

_VOTED = 0.8, 0.5  # shares of votes for the given label that bound the groups


def by_uncertainty(training: TrainingSet, names: tuple[str, ...], count: int, seed: int) -> Figure:
    """Figure 6: lambda's distribution in groups of labels, and the faces at both of its ends.

    Among samples of equal lambda the faces are drawn at random.

    Args:
      training: of a run whose method constructs target distributions.
      names: the C class names.
      count: of faces at either end.
      seed: of the draw.

    Raises:
      InputError: a picture cannot be read.
    """
    samples = training.samples
    values = samples["uncertainty"].to_numpy()
    groups, title = _groups(training, names)
    order = np.lexsort([np.random.default_rng(seed).permutation(len(values)), values])
    extremes = {}
    for heading, ids in (("lowest", order[:count]), ("highest", order[::-1][:count])):
        captions = [caption(row, names) for _, row in samples.iloc[ids].iterrows()]
        extremes[rf"{heading} $\lambda$"] = (pictures(training, ids), captions)
    return face_plots.uncertainty(
        {name: values[mask] for name, mask in groups.items() if mask.any()}, title, extremes
    )


def _groups(training: TrainingSet, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], str]:
    """Masks [N] of the samples that are told apart, and what is known of them."""
    samples = training.samples
    labels = samples["expression"].to_numpy()
    clean = samples.get("clean_expression")
    if clean is not None and 0 < (clean != labels).mean() < 1:
        flipped = (clean != labels).to_numpy()
        auc = flip_detection(samples["uncertainty"], flipped)["roc_auc"]
        title = rf"flipped labels are found by $\lambda$ with ROC-AUC {auc:.3f}"
        return {"label kept": ~flipped, "label flipped": flipped}, title
    votes = vote_shares(training.annotations.votes, training.rows)
    if votes is not None:
        share, (most, half) = votes[np.arange(len(labels)), labels], _VOTED
        return {
            f"at least {most:.0%} voted for the label": share >= most,
            f"{half:.0%} to {most:.0%}": (share >= half) & (share < most),
            f"fewer than {half:.0%}": (share < half) & (votes.sum(axis=1) > 0),
        }, "by how many people voted for the given label"
    agrees = shares(samples, "probability", names).argmax(axis=1) == labels
    groups = {"network agrees with the label": agrees, "network disagrees": ~agrees}
    return groups, "by whether the network's most probable class is the given label"
