"""The expectation over class probabilities, the classes' places, and classifiers from files."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.config import Config
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.inference.export import export_saved_model
from ldl_fer.networks.network import build_network
from ldl_fer.preparation.affect.prototypes import (
    PROTOTYPES,
    Prototypes,
    class_means,
    expectation,
    load_classifier,
    prototypes_of,
)
from ldl_fer.training.run import Run


def test_expectation():
    places = np.array([[0.0, 0.0], [0.8, 0.4], [-0.6, 0.2]])
    # 0.5 (0, 0) + 0.25 (0.8, 0.4) + 0.25 (-0.6, 0.2)
    np.testing.assert_allclose(expectation([[0.5, 0.25, 0.25]], places), [[0.05, 0.15]])


def test_places_are_where_the_circumplex_has_them():
    places = dict(zip(CLASS_NAMES, prototypes_of(CLASS_NAMES), strict=True))
    assert tuple(places["Neutral"]) == (0, 0) and set(PROTOTYPES) == set(CLASS_NAMES)
    assert all(places[name][0] > 0 for name in ("Happy", "Surprise"))
    assert all(places[name][0] < 0 for name in ("Sad", "Fear", "Disgust", "Anger"))
    assert [name for name in CLASS_NAMES if places[name][1] < 0] == ["Sad"]
    np.testing.assert_array_equal(
        prototypes_of(CLASS_NAMES[::-1]), prototypes_of(CLASS_NAMES)[::-1]
    )
    with pytest.raises(InputError, match="Contempt.*--from_csv"):
        prototypes_of([*CLASS_NAMES, "Contempt"])


def test_class_means():
    annotations = made_up_annotations(40)
    wanted = pd.DataFrame(annotations.table).groupby("expression")[["valence", "arousal"]].mean()
    np.testing.assert_allclose(class_means(annotations), wanted, atol=1e-6)
    with pytest.raises(InputError, match="no row with values of Happy"):
        class_means(annotations.subset(np.flatnonzero(annotations.labels != 1)))


@pytest.mark.slow
def test_the_classifier_of_a_run_and_of_its_export_say_the_same(tmp_path):
    config = Config().replace(backbone="small_cnn", image_size=32, run_dir=str(tmp_path / "run"))
    network = build_network(config.network, 32, 7)
    Run(tmp_path / "run").begin(config)
    network.save_weights(Run(tmp_path / "run").weights("best"))
    export_saved_model(network, tmp_path / "saved", CLASS_NAMES, 32)
    images = np.random.default_rng(0).integers(0, 256, [4, 32, 32, 3], np.uint8)
    wanted = tf.nn.softmax(network(images.astype(np.float32))[1]).numpy()
    for folder in ("run", "saved"):
        probabilities, names, size, source = load_classifier(tmp_path / folder)
        np.testing.assert_allclose(probabilities(images), wanted, atol=1e-5)
        assert (names, size) == (CLASS_NAMES, 32) and source.startswith(f"{folder} sha256:")
    model = Prototypes(probabilities, prototypes_of(names), size, source)
    found = model.outputs(images)
    np.testing.assert_allclose(found, wanted @ prototypes_of(CLASS_NAMES), atol=1e-5)
    with pytest.raises(InputError, match="is no model"):
        load_classifier(tmp_path)
