"""Residual networks: parameter counts, sizes, ImageNet's weights."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.built_networks import multiply_adds, network_of

from ldl_fer.errors import InputError
from ldl_fer.networks.network import BACKBONES

# Downloads ImageNet weights, of keras or of tf_keras.
GET_FILE = f"{tf.keras.applications.ResNet50.__module__}.data_utils.get_file"


@pytest.mark.parametrize(
    ("name", "trainable", "moving"),
    [
        # torchvision's counts without the classifier: 11,689,512 - 513,000; 21,797,672 - 513,000.
        ("resnet18", 11_176_512, 9_600),
        ("resnet34", 21_284_672, 17_024),
        # Keras' published "notop" counts (convolutions have biases there): 23,587,712 in all.
        ("resnet50", 23_534_592, 53_120),
        pytest.param("resnet101", 42_552_832, 105_344, marks=pytest.mark.slow),
        pytest.param("resnet152", 58_219_520, 151_424, marks=pytest.mark.slow),
    ],
)
def test_parameter_counts_are_the_known_ones(name, trainable, moving):
    model = BACKBONES[name](32)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == trainable
    assert sum(np.prod(v.shape) for v in model.non_trainable_variables) == moving


def test_resnet18_has_the_sizes_of_the_paper():
    model = BACKBONES["resnet18"](224)
    # He et al. (2016), Table 1: 112, 56, 56, 28, 14, 7 pixels.
    sizes = {"conv1": 112, "pool1": 56, "stage1_block2_add": 56, "stage2_block2_add": 28}
    sizes |= {"stage3_block2_add": 14, "stage4_block2_add": 7}
    assert {n: model.get_layer(n).output_shape[1] for n in sizes} == sizes
    # Table 1: 1.8e9 multiply-adds.
    assert multiply_adds(model) == pytest.approx(1.8e9, rel=0.02)


@pytest.mark.slow
def test_imagenet_weights_see_the_pixels_they_were_trained_on(tmp_path, monkeypatch):
    # Random kernels and no biases: the outputs grow with the pixels, so that any error shows.
    reference = tf.keras.applications.ResNet50(include_top=False, weights=None)
    rng = np.random.default_rng(0)
    for variable in reference.trainable_variables:
        if variable.shape.rank == 4:
            deviation = np.prod(variable.shape[:3]) ** -0.5
            variable.assign(rng.normal(0, deviation, variable.shape))
    reference.save_weights(tmp_path / "resnet50.h5")
    monkeypatch.setattr(
        GET_FILE,
        lambda *args, **kwargs: str(tmp_path / "resnet50.h5"),
    )
    network = network_of("resnet50", weights="imagenet")
    pixels = rng.integers(0, 256, [2, 32, 32, 3]).astype("float32")
    features = network(pixels)[0].numpy()

    def pooled(images):
        return reference(images).numpy().mean(axis=(1, 2))

    expected = pooled(tf.keras.applications.resnet.preprocess_input(pixels.copy()))
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4 * expected.std())
    # The same means, but red and blue exchanged, or no means, lie a thousand times further off.
    for wrong in (pixels - [123.68, 116.779, 103.939], pixels[..., ::-1] - 127.5):
        assert np.abs(pooled(wrong) - expected).max() > 0.1 * expected.std()


def test_failed_download_is_said_with_its_cure(monkeypatch):
    def get_file(name, url, **kwargs):
        raise Exception(f"URL fetch failure on {url}: None -- no route to host")

    monkeypatch.setattr(GET_FILE, get_file)
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(InputError, match=f"{name} and put it into ~/.keras/models"):
        network_of("resnet50", weights="imagenet")
