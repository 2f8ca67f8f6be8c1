"""MobileFaceNet from ONNX files: made-up ones in both forms, the real one, and refusals."""

import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import SHARED
from helpers.onnx_files import images_of, parts_of, random_network, write_onnx

from ldl_fer.errors import InputError
from ldl_fer.networks import mobilefacenet_onnx
from ldl_fer.networks.mobilefacenet import mobilefacenet
from ldl_fer.networks.mobilefacenet_onnx import load_mobilefacenet

layers = tf.keras.layers
REAL_FILE = SHARED / "models" / "MobileFaceNet.onnx"


@pytest.fixture(scope="module")
def onnx():
    pytest.importorskip("onnxruntime", reason="needs the optional package onnxruntime")
    return pytest.importorskip("onnx", reason="reads ONNX files: needs the optional package onnx")


@pytest.fixture(scope="module")
def real_file(onnx):
    if not REAL_FILE.exists():
        pytest.skip(f"the pretrained MobileFaceNet is not at {REAL_FILE}")
    return REAL_FILE


def spread_of(outputs):
    """Over images: what a wrong weight would change, unlike what all images have in common."""
    spread = np.std(outputs, axis=0).mean()
    assert spread > 0.1
    return spread


FORMS = {"folded": ("relu6", True), "explicit": ("prelu", False)}


@pytest.fixture(scope="module", params=FORMS)
def made_up(onnx, request):
    rectifier, folded = FORMS[request.param]
    model = random_network(rectifier)
    return rectifier, model, parts_of(onnx, model, folded)


@pytest.fixture(scope="module")
def prelu_network():
    return random_network("prelu")


@pytest.fixture(scope="module")
def folded_network():
    return random_network("relu6")


@pytest.fixture(scope="module")
def folded_original(onnx, folded_network):
    return parts_of(onnx, folded_network, True)


@pytest.fixture
def folded_parts(onnx, folded_original):
    """Nodes and initializers that a test may change."""
    nodes, arrays = folded_original
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    return copies, {name: value.copy() for name, value in arrays.items()}


def by_onnxruntime(path, images):
    """Our images [-1, 1], as the file takes them, one by one."""
    ort = pytest.importorskip("onnxruntime", reason="parity needs the package onnxruntime")
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    # (x - 127.5) / 128 of x = 127.5 + 127.5 ours
    theirs = (images * 127.5 / 128).transpose(0, 3, 1, 2).astype("float32")
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in theirs])


# --- Both forms, made up -----------------------------------------------------------------------


@pytest.mark.slow
def test_made_up_files_give_back_their_network(onnx, made_up, tmp_path):
    rectifier, model, parts = made_up
    path = write_onnx(onnx, tmp_path / "a.onnx", *parts)
    other = {"prelu": "relu6", "relu6": "prelu"}[rectifier]
    with pytest.raises(InputError, match=f"has {rectifier}: add --rectifier={rectifier}"):
        load_mobilefacenet(path, 112, "embedding", other)
    loaded = load_mobilefacenet(path, 112, "embedding", rectifier)
    expected = model(images_of()).numpy()
    tolerance = 1e-3 * spread_of(expected)
    np.testing.assert_allclose(loaded(images_of()), expected, rtol=0, atol=tolerance)
    # The file means the same to others, so that writer and reader do not share an error.
    theirs = by_onnxruntime(path, images_of())
    np.testing.assert_allclose(theirs, expected, rtol=0, atol=tolerance)


@pytest.mark.slow
def test_average_works_at_other_sizes_and_learns(onnx, made_up, tmp_path):
    rectifier, model, parts = made_up
    path = write_onnx(onnx, tmp_path / "a.onnx", *parts)
    loaded = load_mobilefacenet(path, 48)
    # The same kernels in the network without gdconv, whose map at 48 px is 3 x 3.
    twin = mobilefacenet(48, rectifier, "average")
    for layer in twin.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
    images = images_of(48, 4)
    features = loaded(images).numpy()
    assert features.shape == (4, 512)
    np.testing.assert_allclose(features, twin(images), rtol=0, atol=1e-4 * spread_of(features))
    wide = tf.keras.Model(loaded.input, loaded.get_layer("map_stride16_wide").output)(images)
    np.testing.assert_allclose(features, np.mean(wide, axis=(1, 2)), rtol=1e-5, atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(loaded(images, training=True)))
    gradients = tape.gradient(loss, loaded.trainable_variables)
    assert len(gradients) == len(twin.trainable_variables)
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_gemm_and_relu_stand_for_what_they_equal(onnx, prelu_network, tmp_path):
    model = prelu_network
    model.get_layer("dw_conv_depthwise_act").alpha.assign(tf.zeros([1, 1, 64]))
    nodes, arrays = parts_of(onnx, model, True)
    at = {node.name: index for index, node in enumerate(nodes)}
    # Relu: PRelu of slope 0. Gemm of the flattened 1 x 1 map: a 1 x 1 convolution.
    relu = nodes[at["dw_conv_depthwise_act"]]
    relu.op_type = "Relu"
    del relu.input[1]
    arrays["conv3.weight"] = arrays["conv3.weight"][:, :, 0, 0]
    gemm = nodes[at["conv3"]]
    flat = onnx.helper.make_node("Flatten", [gemm.input[0]], ["flat"], "flat")
    inputs = ["flat", "conv3.weight", "conv3.bias"]
    gemm = onnx.helper.make_node("Gemm", inputs, list(gemm.output), "conv3", transB=1)
    nodes[at["conv3"] : at["conv3"] + 1] = [flat, gemm]
    loaded = load_mobilefacenet(
        write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays), 112, "embedding"
    )
    expected = model(images_of()).numpy()
    tolerance = 1e-3 * spread_of(expected)
    np.testing.assert_allclose(loaded(images_of()), expected, rtol=0, atol=tolerance)
    theirs = by_onnxruntime(tmp_path / "a.onnx", images_of())
    np.testing.assert_allclose(theirs, expected, rtol=0, atol=tolerance)


# --- The real file -----------------------------------------------------------------------------


def test_real_file_equals_onnxruntime(real_file):
    loaded = load_mobilefacenet(real_file, 112, "embedding", "relu6")
    images = np.random.default_rng(0).uniform(-1, 1, [16, 112, 112, 3]).astype("float32")
    expected = by_onnxruntime(real_file, images)
    spread_of(expected)
    np.testing.assert_allclose(loaded(images), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_real_file_equals_onnxruntime_on_faces(real_file, ferplus):
    loaded = load_mobilefacenet(real_file, 112, "embedding")
    expected = by_onnxruntime(real_file, faces_of(ferplus, 64))
    np.testing.assert_allclose(loaded(faces_of(ferplus, 64)), expected, rtol=0, atol=1e-4)


def faces_of(ferplus, count, size=112):
    faces = []
    for name in pd.read_csv(ferplus / "test.csv").subDirectory_filePath[:count]:
        face = cv2.imread(str(ferplus / "images" / name))
        faces.append(cv2.resize(face, [size, size])[..., ::-1] / 127.5 - 1)
    return np.array(faces, "float32")


# --- Refusals ----------------------------------------------------------------------------------


@pytest.fixture
def built_once(monkeypatch, folded_network):
    """Saves a second a test: what is refused is never handed out."""
    monkeypatch.setattr(mobilefacenet_onnx, "mobilefacenet", lambda *settings: folded_network)


def test_embedding_of_another_size_is_refused(tmp_path):
    with pytest.raises(InputError, match="set --image_size=112"):
        load_mobilefacenet(tmp_path / "a.onnx", 48, "embedding")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "does not exist"),
        (b"not a model at all", "cannot be read as an ONNX file|cannot be loaded"),
        (b"", "cannot be loaded"),
    ],
)
def test_what_is_no_onnx_file_is_refused(onnx, tmp_path, content, text):
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=text) as caught:
        load_mobilefacenet(path, 48)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="cannot be read as an ONNX file"):
        load_mobilefacenet(tmp_path, 48)


def test_truncated_and_external_files_are_refused(onnx, folded_parts, tmp_path):
    path = write_onnx(onnx, tmp_path / "a.onnx", *folded_parts)
    (tmp_path / "short.onnx").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="short.onnx cannot be read"):
        load_mobilefacenet(tmp_path / "short.onnx", 48)
    onnx.save(
        onnx.load(path), tmp_path / "b.onnx", save_as_external_data=True, location="b.weights"
    )
    with pytest.raises(InputError, match="in another file, which is not opened"):
        load_mobilefacenet(tmp_path / "b.onnx", 48)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_packages_the_cure_is_named(monkeypatch, onnx, folded_parts, tmp_path, package):
    path = write_onnx(onnx, tmp_path / "a.onnx", *folded_parts)
    monkeypatch.setitem(sys.modules, package, None)  # import then raises ImportError
    with pytest.raises(InputError, match="pip install -r requirements.txt -r requirements-extras"):
        load_mobilefacenet(path, 48)


def node_of(nodes, name):
    return next(node for node in nodes if node.name == name)


def change_attribute(onnx, nodes, name, **values):
    node = node_of(nodes, name)
    kept = [x for x in node.attribute if x.name not in values]
    kept += [onnx.helper.make_attribute(key, value) for key, value in values.items() if value]
    del node.attribute[:]
    node.attribute.extend(kept)


def drop(nodes, name):
    """Takes a node out; what it fed is fed by its first input."""
    gone = node_of(nodes, name)
    nodes.remove(gone)
    for node in nodes:
        for index, value in enumerate(node.input):
            if value == gone.output[0]:
                node.input[index] = gone.input[0]


def rewire(nodes, name, index, value):
    node_of(nodes, name).input[index] = value


DIFFER = "with the same weights, its answers to random images differ"
MISTAKES = {
    "another stride": (
        lambda o, n, a: change_attribute(o, n, "block05_depthwise", strides=[1, 1]),
        r"answers \[4, 8192\] to 4 images, not \[4, 128\]",
    ),
    "another padding": (
        lambda o, n, a: change_attribute(o, n, "conv1", pads=[0, 0, 1, 1]),
        DIFFER,
    ),
    "padding by the framework": (
        lambda o, n, a: change_attribute(o, n, "conv1", auto_pad="SAME_UPPER", pads=None),
        DIFFER,
    ),
    "dilation": (
        lambda o, n, a: change_attribute(o, n, "conv1", dilations=[2, 2]),
        DIFFER,
    ),
    "another limit": (lambda o, n, a: a.update({"conv1_act.6": np.float32(5)}), DIFFER),
    "missing rectifier": (lambda o, n, a: drop(n, "block02_expand_act"), DIFFER),
    "missing residual": (lambda o, n, a: drop(n, "block03_add"), DIFFER),
    "residual of another block": (
        lambda o, n, a: rewire(n, "block03_add", 0, "block01_add"),
        DIFFER,
    ),
    "bias of another length": (
        lambda o, n, a: a.update({"block02_expand.bias": np.zeros(64, "float32")}),
        r"block02_expand takes constants \[128\], \['block02_expand.bias'\] have \[\[64\]\]",
    ),
    "whole numbers": (
        lambda o, n, a: a.update({"conv2.bias": np.zeros(512, "int64")}),
        "cannot be loaded",
    ),
    "not a number": (lambda o, n, a: a["conv2.bias"].__setitem__(3, np.nan), DIFFER + " by nan"),
    "no such weights": (lambda o, n, a: a.pop("conv2.bias"), "cannot be loaded"),
    "a kernel that is computed": (
        lambda o, n, a: (
            n.insert(0, o.helper.make_node("Neg", ["conv2.weight"], ["computed"], "neg")),
            rewire(n, "conv2", 1, "computed"),
        ),
        r"conv2 \[512, 128, 1, 1\] against computed no constant",
    ),
    "more after the end": (
        lambda o, n, a: n.append(o.helper.make_node("Sigmoid", ["embedding"], ["y"], "extra")),
        DIFFER,
    ),
    "reshaped inside": (
        lambda o, n, a: (
            n.insert(1, o.helper.make_node("Flatten", ["conv1"], ["x"], "inside")),
            rewire(n, "conv1_act", 0, "x"),
        ),
        "cannot be loaded",
    ),
    "another output": (
        lambda o, n, a: n.append(
            o.helper.make_node("ReduceMean", ["embedding"], ["y"], "mean", axes=[1])
        ),
        r"answers \[4, 1\] to 4 images, not \[4, 128\]",
    ),
    "no rectifier that is known": (
        lambda o, n, a: [
            (setattr(x, "op_type", "Elu"), x.input.__delitem__(slice(1, None)))
            for x in n
            if x.op_type == "Clip"
        ],
        "neither PRelu nor Clip",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_another_network_is_refused_in_words(onnx, folded_parts, built_once, tmp_path, name):
    nodes, arrays = folded_parts
    change, text = MISTAKES[name]
    change(onnx, nodes, arrays)
    path = write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays)
    with pytest.raises(InputError, match=text) as caught:
        load_mobilefacenet(path, 48)
    assert str(path) in str(caught.value)


def test_the_first_kernel_that_does_not_match_is_named(onnx, folded_parts, built_once, tmp_path):
    nodes, arrays = folded_parts
    for index in range(3):
        arrays[f"block0{index}_expand.weight"] = np.zeros([128, 64, 3, 3], "float32")
        change_attribute(onnx, nodes, f"block0{index}_expand", pads=[1, 1, 1, 1])
    path = write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays)
    text = (
        r"51 convolutions, ours 51; .*: block00_expand \[128, 64, 1, 1\] against "
        r"block00_expand.weight \[128, 64, 3, 3\]\.$"
    )
    with pytest.raises(InputError, match=text):
        load_mobilefacenet(path, 48)


def test_too_few_and_too_many_convolutions_are_refused(onnx, folded_parts, built_once, tmp_path):
    nodes, arrays = folded_parts
    arrays["conv4.weight"] = np.zeros([128, 128, 1, 1], "float32")
    extra = onnx.helper.make_node("Conv", ["conv3", "conv4.weight"], ["conv4"], "conv4")
    path = write_onnx(onnx, tmp_path / "more.onnx", [*nodes[:-1], extra, nodes[-1]], arrays)
    with pytest.raises(
        InputError, match=r"52 conv.*nothing against conv4.weight \[128, 128, 1, 1\]"
    ):
        load_mobilefacenet(path, 48)
    drop(nodes, "conv3")
    path = write_onnx(onnx, tmp_path / "fewer.onnx", nodes, arrays)
    with pytest.raises(InputError, match=r"50 conv.*conv3 \[128, 512, 1, 1\] against nothing"):
        load_mobilefacenet(path, 48)


def test_slopes_of_another_number_are_refused(onnx, prelu_network, tmp_path):
    nodes, arrays = parts_of(onnx, prelu_network, True)
    arrays["conv2_act.slope"] = np.full([1, 1, 7], 0.25, "float32")  # one for each column
    path = write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays)
    with pytest.raises(InputError, match="conv2_act has other slopes than conv2_act"):
        load_mobilefacenet(path, 48)


def test_networks_of_two_inputs_are_refused(onnx, folded_parts, built_once, tmp_path):
    path = write_onnx(onnx, tmp_path / "a.onnx", *folded_parts)
    model = onnx.load(path)
    value = onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1])
    model.graph.input.append(value)
    onnx.save(model, path)
    with pytest.raises(InputError, match="does not take RGB images of 112 pixels: .*more"):
        load_mobilefacenet(path, 48)
