"""Backbones from Keras files: read as they were saved, or refused in words."""

import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf
from helpers.built_networks import images_of, network_of, pixels_of, randomize

from ldl_fer.errors import InputError

layers = tf.keras.layers


def plain_model(pooled=True):
    inputs = tf.keras.Input([32, 32, 3])
    x = layers.Conv2D(6, 3, strides=2)(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.GlobalMaxPooling2D()(x) if pooled else x
    return randomize(tf.keras.Model(inputs, x, name="features"))


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "folder"])
@pytest.mark.parametrize("pooled", [True, False])
def test_local_file_round_trip(tmp_path, name, pooled):
    model = plain_model(pooled)
    model.compile("adam", "mse")  # what a compiled model carries along must not matter
    model.save(tmp_path / name, **({} if "." in name else {"save_format": "tf"}))
    network = network_of(tmp_path / name, weights="none")
    expected = model(images_of()).numpy()
    expected = expected if pooled else expected.mean(axis=(1, 2))
    np.testing.assert_allclose(network(pixels_of())[0], expected, rtol=1e-5, atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(pixels_of(), training=True)[1]))
    gradients = tape.gradient(loss, network.trainable_variables)
    assert len(gradients) == len(model.trainable_variables) + 2
    assert all(np.abs(g).max() > 0 for g in gradients[:1] + gradients[-2:])


def test_frozen_layers_of_a_file_are_trained(tmp_path):
    model = plain_model()
    model.trainable = False
    model.save(tmp_path / "a.keras")
    assert len(network_of(tmp_path / "a.keras").trainable_variables) == 5 + 2


class Custom(layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "folder"])
@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (lambda: layers.Lambda(lambda x: x * 2, name="twice"), "Lambda 'twice' holds code"),
        (lambda: Custom(name="mine"), "Custom 'mine'"),
        (lambda: tf.square, "TFOpLambda"),
        (lambda: tf.keras.Sequential([layers.Lambda(lambda x: x)]), "Lambda"),
    ],
)
def test_code_in_files_is_refused_before_keras_sees_it(tmp_path, monkeypatch, name, extra, text):
    inputs = tf.keras.Input([32, 32, 3])
    model = tf.keras.Model(inputs, extra()(layers.Conv2D(2, 3)(inputs)))
    model.save(tmp_path / name, **({} if "." in name else {"save_format": "tf"}))
    monkeypatch.setattr(tf.keras.models, "load_model", lambda *a, **k: pytest.fail("was loaded"))
    with pytest.raises(InputError, match=text):
        network_of(tmp_path / name)


def test_foreign_modules_in_keras_files_are_refused(tmp_path):
    plain_model().save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        config = archive.read("config.json").decode()
    assert '"keras.layers"' in config
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("config.json", config.replace('"keras.layers"', '"os.path"', 1))
    with pytest.raises(InputError, match="comes from the module os.path"):
        network_of(tmp_path / "b.keras")


def test_missing_and_damaged_files_are_mistakes_of_the_user(tmp_path):
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("readme", "x")
    plain_model().save_weights(tmp_path / "weights.h5")
    plain_model().save(tmp_path / "whole.h5")
    with h5py.File(tmp_path / "whole.h5", "a") as file:
        del file["model_weights"]
    model = tf.Module()
    model.variable = tf.Variable(1.0)
    tf.saved_model.save(model, str(tmp_path / "bare"))
    for name, text in {
        "text.h5": "damaged or neither",
        "empty.keras": "damaged or neither",
        "zip.keras": "damaged or neither",
        "folder": "without saved_model.pb",
        "weights.h5": "without the network",
        "whole.h5": "cannot be loaded",
        "bare": "did not make",
        "absent.h5": "neither an existing file",
    }.items():
        with pytest.raises(InputError, match=text) as caught:
            network_of(tmp_path / name)
        assert name in str(caught.value)


def test_unfit_inputs_and_outputs_are_refused(tmp_path):
    def save(name, inputs, outputs):
        tf.keras.Model(inputs, outputs).save(tmp_path / name)

    image, gray = tf.keras.Input([32, 32, 3]), tf.keras.Input([32, 32, 1])
    vector = tf.keras.Input([5])
    pooled = layers.GlobalAveragePooling2D()(image)
    save("gray.h5", gray, layers.Flatten()(gray))
    save("vector.h5", vector, layers.Dense(2)(vector))
    save("two.h5", [image, vector], layers.Concatenate()([pooled, vector]))
    save("line.h5", image, layers.Reshape([32 * 32, 3])(image))
    save("fit.h5", image, layers.Dense(2)(pooled))
    for name, size, text in [
        ("gray.h5", 32, "not color images"),
        ("vector.h5", 32, "not color images"),
        ("two.h5", 32, "2 inputs"),
        ("line.h5", 32, "a feature vector"),
        ("fit.h5", 48, "Set --image_size=32"),
    ]:
        with pytest.raises(InputError, match=text):
            network_of(tmp_path / name, size)
    with pytest.raises(InputError, match="no ImageNet weights"):
        network_of(tmp_path / "fit.h5", weights="imagenet")


def test_any_size_fits_a_file_without_one(tmp_path):
    inputs = tf.keras.Input([3, None, None])
    x = layers.Conv2D(4, 3, data_format="channels_first")(inputs)
    tf.keras.Model(inputs, x).save(tmp_path / "a.h5")
    for size in (16, 24):
        assert network_of(tmp_path / "a.h5", size)(images_of(size))[0].shape == (4, 4)
