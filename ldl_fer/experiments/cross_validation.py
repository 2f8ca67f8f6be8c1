"""Predictions for training samples by classifiers that did not see them: what cleanlab asks for."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from ldl_fer.annotations import read_annotations
from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.files import whole_file
from ldl_fer.networks.network import build_network
from ldl_fer.pooled_records import PooledRecords
from ldl_fer.splits import opener, training_records, training_sources

FOLDS = 5
INVERSE_PENALTY = 1e-3  # of the squared weights; pooled maps are standardized


def cross_validated(config: Config, folder: Path, progress: bool = True) -> np.ndarray:
    """Probabilities of each training sample by a linear classifier of the other folds' samples.

    Multinomial logistic regression on the pooled maps of the frozen backbone, five folds
    stratified by the labels that are trained on.

    Args:
      config: of a run with a frozen backbone; its training samples, labels as they stand.
      folder: where the predictions are kept, by labels and pooled maps.
      progress: whether to show a bar.

    Returns:
      [N, C], rows sum to 1.

    Raises:
      InputError: the backbone is not frozen, or a class has fewer samples than folds.
    """
    _check_frozen(config)
    classes = len(config.data.class_names)
    network = build_network(config.network, config.data.image_size, classes)
    records, _ = training_records(
        config.training_data, config.run.seed, opener(network, frozen=True)
    )
    assert isinstance(records, PooledRecords)  # as the backbone is frozen
    pooled, labels = records.pooled[:][:, 0], records.annotations().labels
    _check_counts(labels, config)
    digest = hashlib.sha256(json.dumps([labels.tolist(), FOLDS, INVERSE_PENALTY]).encode())
    digest.update(pooled.tobytes())
    file = folder / f"cross-validated-{digest.hexdigest()[:16]}.npy"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as partial:
            np.save(partial, _predictions(pooled, labels, classes, progress))
    return np.load(file)


def check_cross_validation(config: Config) -> None:
    """What `cross_validated` asks of a run, before it is trained; its pictures are not looked at.

    Raises:
      InputError: as `cross_validated`, and as `training_sources`.
    """
    _check_frozen(config)
    data = dataclasses.replace(config.training_data, on_bad_image="skip")  # none is opened here
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
    counts = np.bincount(labels, minlength=len(config.data.class_names))
    if counts.min() < FOLDS:
        name = config.data.class_names[int(counts.argmin())]
        raise InputError(
            f"{config.data.train_data_path} has {counts.min()} samples of {name}; {FOLDS} "
            f"folds need {FOLDS} or more."
        )


def _predictions(pooled, labels, classes, progress):
    made = np.zeros([len(labels), classes])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(pooled, labels)
    for inside, outside in tqdm(folds, "linear classifiers", FOLDS, disable=not progress):
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=300)
        )
        classifier.fit(pooled[inside], labels[inside])
        made[outside] = classifier.predict_proba(pooled[outside])
    return made
