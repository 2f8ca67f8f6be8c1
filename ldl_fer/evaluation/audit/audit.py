"""The label audit of a run as an object: a table, a figure, the page, and what other tools read."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer import plots
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit import COUNT, SIDE
from ldl_fer.evaluation.audit.hand_over import ROW, hand_over, ranked
from ldl_fer.evaluation.audit.page import write_page
from ldl_fer.evaluation.audit.suspicion import suggested_labels, suspicion_of
from ldl_fer.evaluation.audit.training_set import TrainingSet, training_set

_TOP = 500  # samples, at most, that the ranking is judged by


@dataclass(frozen=True, eq=False)
class Audit:
    """The labels that a run was trained on, with the doubt about each.

    Attributes:
      training: the annotations and the run's samples.
    """

    training: TrainingSet

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """A row per sample, the most suspicious first, see `hand_over.ranked`."""
        return ranked(self.training)

    @property
    def notes(self) -> list[str]:
        """Sentences: how many suggestions differ, how good they are where the truth is known."""
        samples, names = self.training.samples, self.training.annotations.class_names
        given, suggested = samples["expression"].to_numpy(), suggested_labels(samples, names)
        differ = int((given != suggested).sum())
        texts = [f"{len(samples):,} labels, {differ:,} of which the network would call otherwise."]
        held_out = len(self.training.annotations) - len(samples)
        if held_out:
            texts.append(
                f"{held_out:,} rows were not trained on (held out to choose the epoch, or "
                "unreadable): they are not listed, and stay as they are in the corrected CSV. With "
                "--val_data_path none are held out."
            )
        if "clean_expression" not in samples:
            return texts
        clean = samples["clean_expression"].to_numpy()
        wrong_in_all = int((given != clean).sum())
        count = min(_TOP, wrong_in_all)
        if count:
            top = np.argsort(-suspicion_of(samples, names), kind="stable")[:count]
            wrong, right = (given != clean)[top], (suggested == clean)[top]
            texts.append(
                f"By the column clean_expression, {wrong.sum()} of the {count} most suspicious "
                f"are wrong ({wrong_in_all:,} in all), and {right.sum()} suggestions right."
            )
        return texts

    def figure(self, count: int = 16) -> plots.Figure:
        """Draws the most suspicious pictures, each under given and suggested label.

        Args:
          count: of pictures.

        Raises:
          InputError: a picture cannot be read.
        """
        shown = self.table.head(count)
        names = self.training.annotations.class_names
        drawn = dict(zip(names, plots.captioned(names), strict=True))
        captions = [
            f"{drawn[given]}\n{drawn[suggested]} {confidence:.2f}"
            for given, suggested, confidence in zip(
                shown["label"], shown["suggested"], shown["confidence"], strict=True
            )
        ]
        return plots.faces(self.training.pixels(shown[ROW]), captions)

    def write_page(
        self, path: str | os.PathLike, count: int = COUNT, side: int = SIDE, progress: bool = True
    ) -> list[str]:
        """Writes the page of `ldl-fer audit`, see `page.write_page`."""
        title = f"Label audit of {self.training.name}"
        return write_page(Path(path), self.training, title, count, side, progress)

    def export(
        self, form: str, folder: str | os.PathLike, count: int = 0, progress: bool = True
    ) -> list[str]:
        """Writes what another tool reads, see `hand_over.hand_over`."""
        return hand_over(Path(folder), self.training, form, count, progress)


def audit(
    run_dir: str | os.PathLike,
    annotations: str | os.PathLike | None = None,
    image_dir: str | os.PathLike | None = None,
    folds: int = 0,
    repeats: int = 1,
    progress: bool = True,
) -> Audit:
    """Ranks the labels that a run was trained on by the doubt about each.

    Args:
      run_dir: the run folder, or the `Run` that `train` returned.
      annotations: the CSV trained on, if it was moved.
      image_dir: the folder of its pictures, if it was moved.
      folds: K >= 2: judge each label by one of K trainings that have not seen it and by the run's
        own network, which has, see `folds.from_outside`; 0: by the latter alone.
      repeats: how many times that, each time with other folds.
      progress: whether to show these trainings.

    Raises:
      InputError: as `training_set.training_set` and `folds.from_outside`; repeats of no folds.
    """
    if repeats > 1 and not folds:
        raise InputError(f"--repeats={repeats} is of folds: add --folds=5.")
    training = training_set(run_dir, annotations, image_dir)
    if folds:
        from ldl_fer.evaluation.audit.folds import from_outside

        training = from_outside(run_dir, training, folds, repeats, progress)
    return Audit(training)
