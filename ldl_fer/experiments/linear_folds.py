"""Predicts training samples by linear classifiers that did not see them, for cleanlab."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ldl_fer.config import Config
from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.pooled_records import PooledRecords
from ldl_fer.data.sets import opener, training_records, training_sources
from ldl_fer.errors import InputError
from ldl_fer.files import made_folder, whole_file
from ldl_fer.methods import training_data
from ldl_fer.networks.network import build_network

FOLDS = 5
INVERSE_PENALTIES = (3e-5, 1e-4, 3e-4, 1e-3)  # C of a classifier, whose inputs are standardized


def cross_validated(config: Config, folder: Path, progress: bool = True) -> np.ndarray:
    """Predicts each training sample by a linear classifier of the other folds' samples.

    Multinomial logistic regression on the pooled maps of the frozen backbone, five folds
    stratified by the labels that are trained on. Both views of a picture are trained on, and their
    predictions averaged. All folds have the penalty with the least -log p(label) on the first.

    Args:
      config: of a run with a frozen backbone; its training samples, labels as they stand.
      folder: where the predictions are kept, by labels and pooled maps.
      progress: whether to show a bar.

    Returns:
      Probabilities [N, C], rows sum to 1.

    Raises:
      InputError: the backbone is not frozen, or a class has samples, but fewer than folds.
    """
    _check_frozen(config)
    classes = len(config.data.class_names)
    network = build_network(config.network, config.data.image_size, classes)
    records, _ = training_records(
        training_data(config), config.run.seed, opener(network, frozen=True)
    )
    assert isinstance(records, PooledRecords)  # as the backbone is frozen
    labels = records.annotations().labels
    pooled = records.pooled[:].astype(np.float32)
    _check_counts(labels, config)
    digest = hashlib.sha256(json.dumps([labels.tolist(), FOLDS, INVERSE_PENALTIES]).encode())
    digest.update(pooled.tobytes())
    file = folder / f"cross-validated-{digest.hexdigest()[:16]}.npy"
    if not file.exists():
        made_folder(folder)
        with whole_file(file) as partial:
            np.save(partial, _predictions(pooled, labels, classes, progress))
    return np.load(file)


def check_cross_validation(config: Config) -> None:
    """Checks a run for `cross_validated` before it is trained; no picture is opened.

    Raises:
      InputError: as `cross_validated`, and as `training_sources`.
    """
    _check_frozen(config)
    data = dataclasses.replace(training_data(config), on_bad_image="skip")  # none is opened here
    (path, *_, annotations), _ = training_sources(data, config.run.seed)
    if annotations is None:
        annotations = read_annotations(path, None, data.class_names, 1, plane=False)
    _check_counts(annotations.labels, config)


def _check_frozen(config: Config) -> None:
    if not config.network.frozen:
        raise InputError(
            "the experiment `uncertainty` compares with classifiers on pooled maps: add "
            "--preset=frozen --pretrained=FILE.onnx."
        )


def _check_counts(labels: np.ndarray, config: Config) -> None:
    present, counts = np.unique(labels, return_counts=True)
    if counts.min() < FOLDS:
        name = config.data.class_names[present[counts.argmin()]]
        raise InputError(
            f"{config.data.train_data_path} has {counts.min()} samples of {name}; {FOLDS} "
            f"folds need {FOLDS} or more."
        )


def _predictions(
    pooled: np.ndarray, labels: np.ndarray, classes: int, progress: bool
) -> np.ndarray:
    """Predicts each sample of [N, views, P], [N, classes], by a classifier of other folds.

    A class without samples has probability 0.
    """

    def outside(fold, penalty):
        inside, out = fold
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=penalty, max_iter=300)
        ).fit(np.concatenate(pooled[inside]), np.repeat(labels[inside], views))
        bar.update()
        flat = classifier.predict_proba(np.concatenate(pooled[out]))
        return flat.reshape(-1, views, len(present)).mean(axis=1)

    present, views = np.unique(labels), pooled.shape[1]
    made = np.zeros([len(labels), classes])
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels))
    first = labels[folds[0][1]]
    total = len(INVERSE_PENALTIES) + FOLDS - 1
    with tqdm(total=total, desc="linear classifiers", disable=not progress) as bar:
        tried = {penalty: outside(folds[0], penalty) for penalty in INVERSE_PENALTIES}
        best = min(tried, key=lambda penalty: log_loss(first, tried[penalty], labels=present))
        made[np.ix_(folds[0][1], present)] = tried[best]
        for fold in folds[1:]:
            made[np.ix_(fold[1], present)] = outside(fold, best)
    return made
