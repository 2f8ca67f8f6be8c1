"""faceres-deep against the user's files, run by others; its pooled maps; and files refused."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.called import call
from helpers.tfjs_files import changed, convolution, faceres_graph, write_tfjs

from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.networks.faceres import faceres, load_faceres
from ldl_fer.networks.network import build_network
from ldl_fer.networks.pooled_maps import FACERES_MAPS, columns, pooled_maps


@pytest.fixture(scope="module")
def file(pytestconfig):
    pytest.importorskip("onnx", reason="needs the optional package onnx")
    path = pytestconfig.rootpath.parent / "shared" / "models" / "faceres-deep.onnx"
    if not path.exists():
        pytest.skip(f"faceres-deep is not at {path}")
    return path


def test_features_and_frozen_maps_are_those_of_onnx_runtime(file):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    picture = np.random.default_rng(1).integers(0, 256, [1, 14, 14, 3])
    picture = picture.repeat(16, axis=1).repeat(16, axis=2).astype(np.float32)
    gray = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    fed = gray[:, np.newaxis] - np.float32([103.939, 116.779, 123.68])[:, np.newaxis, np.newaxis]
    model = onnx.load(file)
    last = [node.output[0] for node in model.graph.node if node.op_type == "Max"]
    inner = {"faceres_stride16": last[2 * 11], "faceres_stride32": last[2 * 13]}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(x) for x in inner.values())
    session = onnxruntime.InferenceSession(model.SerializeToString())
    whole, *maps = session.run(None, {"input": fed})

    settings = Config().replace(backbone="faceres", pretrained=str(file)).network
    network = build_network(settings, 224, 7)
    features = network(picture, training=True)[0].numpy()  # no statistics to move
    np.testing.assert_allclose(features, whole.reshape(1, -1), atol=1e-3 * np.abs(whole).max())

    pooled = pooled_maps(network.get_layer("backbone"))(picture / 127.5 - 1).numpy()
    wanted = []
    for x in maps:
        half = x.shape[2] // 2
        upper, lower = x[:, :, : x.shape[2] - half], x[:, :, half:]
        wanted += [upper.mean((2, 3)), lower.mean((2, 3)), x.max((2, 3))]
    wanted = np.concatenate(wanted, axis=1)
    assert pooled.shape == wanted.shape == (1, 4608)
    np.testing.assert_allclose(pooled, wanted, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.slow
def test_other_files_are_refused(file, tmp_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(file)
    clips = [node for node in model.graph.node if node.op_type == "Min"]
    clips[3].op_type = "Max"  # the same weights, another function
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match="answers to random images differ"):
        load_faceres(tmp_path / "other.onnx", 32)
    with pytest.raises(InputError, match="is not the faceres-deep that is known here"):
        load_faceres(file.parent / "MobileFaceNet.onnx", 32)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A TensorFlow.js file of random weights, and the network that it is."""
    model, nodes, constants = faceres_graph()
    return write_tfjs(tmp_path_factory.mktemp("tfjs") / "made_up.json", nodes, constants), model


def test_weights_of_a_tensorflow_js_file(made_up):
    path, model = made_up
    found = load_faceres(path, 32)
    for value, expected in zip(found.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda nodes: nodes["dw_3_low"].update(op="Maximum"), "answers to random images differ"),
        (
            lambda nodes: nodes["pw_2_conv"].update(convolution("pw_2_conv", "dw_2_clip", "six")),
            "the kernel of pw_2_conv is no constant",
        ),
        (lambda nodes: nodes["mean"].update(input=["pw_12_clip", "axes"]), "25 convolutions"),
        (lambda nodes: nodes["dw_4_add"].update(input=["dw_4_mul", "pw_9/bias"]), "no factor"),
        (lambda nodes: nodes["dw_1_relu"].update(op="Elu"), "not known here: Elu"),
    ],
)
def test_tensorflow_js_files_of_other_networks_are_refused(made_up, tmp_path, change, text):
    path, _ = made_up
    (tmp_path / "made_up.bin").symlink_to(path.with_suffix(".bin"))
    (tmp_path / "other.json").write_text(path.read_text())
    other = changed(
        tmp_path / "other.json",
        lambda json: change({one["name"]: one for one in json["modelTopology"]["node"]}),
    )
    with pytest.raises(InputError, match=f"other.json .*{text}"):
        load_faceres(other, 32)


def test_the_true_tensorflow_js_file_has_the_weights_of_the_onnx_file(file):
    path = file.with_suffix(".json")
    if not path.exists():
        pytest.skip(f"faceres-deep is not at {path}, with its .bin")
    first, second = load_faceres(path, 224), load_faceres(file, 224)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_file_ends_the_command_with_a_sentence(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "train.csv").write_text(
        "subDirectory_filePath,expression,valence,arousal\n" + "a.png,0,0.1,0.1\n"
    )
    done = call(
        *("train", "--preset=frozen", "--backbone=faceres"),
        f"--pretrained={tmp_path}/broken.json",
        f"--train_data_path={tmp_path}/train.csv",
        f"--run_dir={tmp_path}/run",
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{tmp_path}/broken.json is damaged" in done.stderr


def test_colors_become_the_gray_levels_that_the_file_takes():
    model = faceres(32)
    gray = model.get_layer("gray_pixels")
    red = np.broadcast_to(np.float32([1.0, -1.0, 0.0]), [1, 1, 1, 3])  # 255, 0, 127.5
    level = 0.299 * 255 + 0.114 * 127.5
    np.testing.assert_allclose(
        gray(red)[0, 0, 0], [level - 103.939, level - 116.779, level - 123.68], rtol=1e-5
    )
    assert gray not in [layer for layer in model.layers if layer.trainable_variables]


def test_columns_of_its_pooled_maps():
    upper = columns(["upper"], size=4608)
    np.testing.assert_array_equal(upper, [*range(512), *range(3 * 512, 3 * 512 + 1024)])
    assert (
        len(columns(maps=["faceres_stride32"], size=4608)) == 3 * FACERES_MAPS["faceres_stride32"]
    )
    with pytest.raises(ValueError, match="map_stride8"):
        columns(maps=["map_stride8"], size=4608)
    frozen = pooled_maps(faceres(64))
    assert frozen.output_shape == (None, 4608) and isinstance(frozen, tf.keras.Model)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(InputError, match="too small for faceres"):
        faceres(16)
