"""Judges each label by a network that was trained without it: K-fold cross-validation of a run.

RUN/folds/ holds the fold's trainings while they last, RUN/outside_<K>_folds_<E>_epochs.csv what
they predict, and ..._epochs_2.csv and so on what the folds of a repeat do; a run that goes on to
more epochs has others.
"""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from ldl_fer.config import Config
from ldl_fer.config.progress import hidden
from ldl_fer.data.annotation_checks import PATH
from ldl_fer.data.annotations import SOURCE_ROW, Annotations
from ldl_fer.data.auxiliary import landmarks_of_whole
from ldl_fer.data.paths import is_csv
from ldl_fer.data.pipeline import ordered_dataset
from ldl_fer.data.samples import shares
from ldl_fer.data.sets import opener
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit.training_set import TrainingSet
from ldl_fer.evaluation.evaluate import predict
from ldl_fer.files import made_folder, write_whole
from ldl_fer.methods import METHODS
from ldl_fer.methods.classifier import per_class
from ldl_fer.networks.head import trained_part
from ldl_fer.training.run import Run, load_network
from ldl_fer.training.train import train

_SEEDS_APART = 1000  # of two repeats, so that another run's are of none of them


def from_outside(
    run_dir: str | os.PathLike,
    training: TrainingSet,
    folds: int,
    repeats: int = 1,
    progress: bool = True,
) -> TrainingSet:
    """Gives the samples of a training set what their own network and others hold of them.

    Args:
      run_dir, training, folds, progress: as `outside_probabilities` takes them.
      repeats: how many times the samples are divided into folds, and these trained, at least 1.

    Returns:
      `training`, the columns `probability_*` of its samples being the mean of the run's own and of
      the mean of all repeats' `outside_probabilities`: of networks that have not seen the label.

    Raises:
      InputError: as that function.
    """
    names = training.annotations.class_names
    outside = []
    for repeat in range(repeats):
        if repeats > 1 and progress and not hidden():
            print(f"Repeat {repeat + 1} of {repeats}")
        outside.append(outside_probabilities(run_dir, training, folds, progress, repeat))
    both = (shares(training.samples, "probability", names) + np.mean(outside, axis=0)) / 2.0
    columns = per_class("probability", both, names)
    return dataclasses.replace(training, samples=training.samples.assign(**columns))


def outside_probabilities(
    run_dir: str | os.PathLike,
    training: TrainingSet,
    folds: int,
    progress: bool = True,
    repeat: int = 0,
) -> np.ndarray:
    """Predicts each training sample by a network that was trained without it.

    One training for each fold, with the settings of the run; interrupted, the same call goes on.
    All rows of a picture are in one fold. A fold's network is that of its last epoch, which no
    label of the fold, nor of another, has chosen. What was found is kept in the run folder.

    Args:
      run_dir: the run folder.
      training: of the run.
      folds: K, at least 2.
      progress: whether to show each training.
      repeat: by which of the divisions into folds; each has its own, and its own networks.

    Returns:
      [N, C], rows sum to 1 but for the rounding of the file: the mean over each picture and its
      mirror image.

    Raises:
      InputError: as `check_folds`; a class has fewer samples than folds; the kept file is damaged.
    """
    run = Run(run_dir)
    check_folds(run, folds)
    names, config = training.annotations.class_names, run.config()
    kept = f"outside_{folds}_folds_{config.optimizer.epochs}_epochs"
    file = run.folder / (f"{kept}_{repeat + 1}.csv" if repeat else f"{kept}.csv")
    if not file.exists():
        config = config.replace(seed=config.run.seed + repeat * _SEEDS_APART)
        made = run.folder / "folds"
        found = _cross_validated(config, training, folds, made, progress)
        columns = per_class("probability", found, names)
        table = pd.DataFrame({SOURCE_ROW: training.rows} | columns)
        write_whole(file, table.to_csv(index=False, float_format="%.5f"))
        shutil.rmtree(made)
    return shares(_read(file, training.rows), "probability", names)


def check_folds(run: Run, folds: int) -> None:
    """Raises InputError where the settings of a run rule `from_outside` out."""
    config = run.config()
    if folds < 2:
        raise InputError(f"--folds={folds}: at least 2, 5 as a rule.")
    if not is_csv(config.data.train_data_path):
        raise InputError(
            f"--folds: {run.folder} was trained on shards, which cannot be taken apart. Train on "
            "the CSV."
        )
    if METHODS[config.method].teacher_runs(config):
        raise InputError(
            f"--folds: the teacher of {run.folder} has seen all labels. Audit a run of another "
            "--method."
        )


def _cross_validated(
    config: Config, training: TrainingSet, folds: int, made: Path, progress: bool
) -> np.ndarray:
    """Returns probabilities [N, C] of the samples by the network of the other folds."""
    names = training.annotations.class_names
    part = training.annotations.subset(training.rows)
    labels = part.labels
    classes, counts = np.unique(labels, return_counts=True)
    rarest, count = classes[counts.argmin()], counts.min()
    if count < folds:
        raise InputError(f"--folds={folds}: there are {count} samples of {names[rarest]} only.")
    probabilities = np.zeros([len(labels), len(names)])
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=config.run.seed)
    pictures = pd.factorize(part.table[PATH])[0]
    for number, (inside, outside) in enumerate(splits.split(labels, labels, pictures), 1):
        folder = made_folder(made) / f"{number}-of-{folds}"
        if progress and not hidden():
            print(f"Fold {number} of {folds}")
        probabilities[outside] = _fold(config, part, inside, outside, folder, progress)
    return probabilities


def _fold(
    config: Config,
    part: Annotations,
    inside: np.ndarray,
    outside: np.ndarray,
    folder: Path,
    progress: bool,
) -> np.ndarray:
    """Trains on the rows inside, and returns the probabilities of those outside."""
    data = folder.with_suffix(".csv")
    part.subset(inside).write(data)
    landmarks = landmarks_of_whole(config.data, config.data.auxiliary)
    settings = config.replace(
        train_data_path=str(data), run_dir=str(folder), pictures=False, **landmarks
    )
    fold = train(settings, resume=True, progress=progress)
    network, _ = load_network(fold.folder, "last", trust_model=config.network.trust_model)
    open_set = opener(network, config.network.frozen)
    source = config.data.train_data_path, config.data.train_image_dir
    records = open_set(config.data, *source, 0, part.subset(outside))
    views = [
        predict(trained_part(network), ordered_dataset(records, config, mirrored=mirrored), False)
        for mirrored in (False, True)
    ]
    return np.mean([found["probabilities"] for found in views], axis=0)


def _read(file: Path, rows: np.ndarray) -> pd.DataFrame:
    try:
        found = pd.read_csv(file)
        if found[SOURCE_ROW].tolist() == rows.tolist():
            return found
        problem = "it is of other rows"
    except (OSError, ValueError, KeyError) as error:
        problem = str(error)
    raise InputError(f"{file} is damaged: {problem}. Delete it: the folds are then trained anew.")
