"""ONNX files as nodes and constants: what is left out, every form of kernel and limit, refusals."""

import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import SHARED
from helpers.onnx_files import write_onnx

from ldl_fer.errors import InputError
from ldl_fer.networks import mobilefacenet_onnx
from ldl_fer.networks.mobilefacenet import mobilefacenet
from ldl_fer.networks.mobilefacenet_onnx import load_mobilefacenet, read_graph

KERNEL = np.arange(6, dtype="float32").reshape(2, 3)


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx", reason="reads ONNX files: needs the optional package onnx")


@pytest.fixture
def parts(onnx):
    """Nodes and initializers of a convolution from 3 to 2 channels and a Clip."""
    nodes = [
        onnx.helper.make_node("Conv", ["images", "kernel"], ["conv"], "conv"),
        onnx.helper.make_node("Clip", ["conv", "low", "high"], ["clip"], "clip"),
    ]
    kernel, high = KERNEL[:, :, None, None].copy(), np.float32(6)
    return nodes, {"kernel": kernel, "low": np.float32(0), "high": high}


def test_nodes_that_change_nothing_are_left_out(onnx, tmp_path):
    node = onnx.helper.make_node
    value = onnx.numpy_helper.from_array(KERNEL[:, :2])
    nodes = [
        node("Identity", ["images"], ["same"], "same"),
        node("Flatten", ["same"], ["early"], "early"),  # before the last but one convolution
        node("Conv", ["early", "kernel"], ["conv1"], "conv1", strides=[2, 1]),
        node("Conv", ["conv1", "kernel"], ["conv2"], "conv2"),
        node("Dropout", ["conv2"], ["drop"], "drop"),
        node("Reshape", ["drop", "shape"], ["late"], "late"),
        node("Constant", [], ["matrix"], "matrix", value=value),
        node("Gemm", ["late", "matrix"], ["gemm"], "gemm"),
    ]
    arrays = {"kernel": KERNEL, "shape": np.array([0, -1])}
    graph = read_graph(write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays))
    assert (graph.path, graph.input) == (tmp_path / "a.onnx", "images")
    assert [(node.op, node.name, node.inputs, node.output) for node in graph.nodes] == [
        ("Flatten", "early", ("images",), "early"),
        ("Conv", "conv1", ("early", "kernel"), "conv1"),
        ("Conv", "conv2", ("conv1", "kernel"), "conv2"),
        ("Gemm", "gemm", ("conv2", "matrix"), "gemm"),
    ]
    assert graph.nodes[1].attributes == {"strides": [2, 1]}
    np.testing.assert_array_equal(graph.arrays["matrix"], KERNEL[:, :2])


def test_kernels_of_every_form(onnx, tmp_path):
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["images", "conv"], ["a"], "a"),
        node("Gemm", ["a", "matrix"], ["b"], "b", transB=1),
        node("Gemm", ["b", "matrix"], ["c"], "c"),
    ]
    arrays = {"conv": KERNEL.reshape(1, 1, 2, 3), "matrix": KERNEL}
    graph = read_graph(write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays))
    # Conv [O, I, h, w]; Gemm y = x B' of B [O, I] with transB, y = x B of B [I, O] without.
    expected = KERNEL[None, None], KERNEL[:, :, None, None], KERNEL.T[:, :, None, None]
    for node, kernel in zip(graph.nodes, expected, strict=True):
        np.testing.assert_array_equal(graph.kernel(node), kernel)


def test_limits_of_every_form(onnx, tmp_path):
    node = onnx.helper.make_node
    nodes = [
        node("Clip", ["images", "low", "high"], ["a"], "a"),
        node("Clip", ["a", "", "high"], ["b"], "b"),
        node("Clip", ["b"], ["c"], "c", min=0.0, max=6.0),
        node("Clip", ["c"], ["d"], "d"),
    ]
    arrays = {"low": np.float32(-1), "high": np.float32(5)}
    graph = read_graph(write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays))
    found = [graph.limits(node) for node in graph.nodes]
    assert found == [(-1, 5), (-np.inf, 5), (0, 6), (-np.inf, np.inf)]


@pytest.mark.parametrize(
    "value", [np.zeros([2, 3], "int64"), np.array([1, np.nan], "float32"), None]
)
def test_constants_are_finite_numbers_of_the_file(onnx, parts, tmp_path, value):
    nodes, arrays = parts
    if value is None:
        nodes[0].input[1] = "images"
    else:
        arrays["kernel"] = value
    graph = read_graph(write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays))
    name = "images" if value is None else "kernel"
    text = rf"a.onnx: node conv \(Conv\) takes {name}, which is not a constant of finite"
    with pytest.raises(InputError, match=text):
        graph.kernel(graph.nodes[0])
    with pytest.raises(InputError, match="takes nothing, which is not a constant"):
        graph.array(graph.nodes[0], 2)


def test_without_onnx_the_cure_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)  # import then raises ImportError
    with pytest.raises(InputError, match="pip install -r requirements.txt -r requirements-extras"):
        read_graph(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "does not exist"),
        (b"not a model at all", "cannot be read as an ONNX file|is no ONNX network"),
        (b"", "is no ONNX network"),
    ],
)
def test_what_is_no_onnx_file_is_refused(onnx, tmp_path, content, text):
    path = tmp_path / "a.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=text) as caught:
        read_graph(path)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="cannot be read as an ONNX file"):
        read_graph(tmp_path)


def test_truncated_and_external_files_are_refused(onnx, parts, tmp_path):
    nodes, arrays = parts
    arrays["kernel"] = np.ones([512, 3, 1, 1], "float32")  # onnx leaves small arrays in the file
    path = write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays)
    (tmp_path / "short.onnx").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="short.onnx cannot be read"):
        read_graph(tmp_path / "short.onnx")
    onnx.save(
        onnx.load(path), tmp_path / "b.onnx", save_as_external_data=True, location="b.weights"
    )
    with pytest.raises(InputError, match="another file, which is not opened"):
        read_graph(tmp_path / "b.onnx")


def test_operators_that_are_not_of_onnx_are_refused(onnx, parts, tmp_path):
    nodes, arrays = parts
    nodes[0].domain = "my.operators"
    with pytest.raises(InputError, match="Conv of my.operators in node conv"):
        read_graph(write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays))


def test_networks_of_two_inputs_are_refused(onnx, parts, tmp_path):
    nodes, arrays = parts
    path = write_onnx(onnx, tmp_path / "a.onnx", nodes, arrays)
    model = onnx.load(path)
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1])
    )
    onnx.save(model, path)
    with pytest.raises(InputError, match="it has 2 inputs and 2 nodes"):
        read_graph(path)


layers = tf.keras.layers
REAL_FILE = SHARED / "models" / "MobileFaceNet.onnx"
FILE_EPSILON = 1e-3  # Unlike ours, 1e-5.


@pytest.fixture(scope="module")
def onnx_of_onnx_weights():
    return pytest.importorskip("onnx", reason="reads ONNX files: needs the optional package onnx")


@pytest.fixture(scope="module")
def real_file(onnx_of_onnx_weights):
    if not REAL_FILE.exists():
        pytest.skip(f"the pretrained MobileFaceNet is not at {REAL_FILE}")
    return REAL_FILE


def images_of(size=112, batch=8, seed=0):
    """Colored tiles, 4 x 4 in an image: unlike noise, they survive a network's averaging."""
    tiles = np.random.default_rng(seed).uniform(-1, 1, [batch, 4, 4, 3])
    return tiles.repeat(size // 4, axis=1).repeat(size // 4, axis=2).astype("float32")


def random_network(rectifier):
    """Every weight random; batch normalization knows its inputs, so that images matter."""
    model, rng = mobilefacenet(112, rectifier), np.random.default_rng(0)
    for variable in model.trainable_variables:
        if "kernel" in variable.name:
            height, width, inputs, _ = variable.shape
            fan = height * width * (1 if "depthwise" in variable.name else inputs)
            variable.assign(rng.normal(0, fan**-0.5, variable.shape))
        else:
            low, high = (-0.5, 0.5) if "beta" in variable.name else (0.5, 1.5)
            variable.assign(rng.uniform(low, high, variable.shape))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0  # The statistics become those of the next batch.
    model(images_of(seed=1), training=True)
    return model


def spread_of(outputs):
    """Over images: what a wrong weight would change, unlike what all images have in common."""
    spread = np.std(outputs, axis=0).mean()
    assert spread > 0.1
    return spread


def parts_of(onnx_of_onnx_weights, model, folded):
    """The network as ONNX nodes and initializers, for images (x - 127.5) / 128."""
    nodes, arrays, names, pad = [], {}, {}, 0

    def node(op, layer, inputs, **attributes):
        nodes.append(
            onnx_of_onnx_weights.helper.make_node(
                op, inputs, [layer.name], layer.name, **attributes
            )
        )

    def array(name, value):
        arrays[name] = np.asarray(value, "float32")
        return name

    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            names[layer.output.name] = "images"
            continue
        inputs = [names[x.name] for x in tf.nest.flatten(layer.input)]
        name, weights = layer.name, layer.get_weights()
        names[layer.output.name] = name
        if isinstance(layer, layers.ZeroPadding2D):
            names[layer.output.name], pad = inputs[0], layer.padding[0][0]
        elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            depthwise = isinstance(layer, layers.DepthwiseConv2D)
            kernel = np.einsum("hwab->abhw" if depthwise else "hwab->bahw", weights[0])
            # Ours (x - 127.5) / 127.5 = theirs (x - 127.5) / 128 times 128 / 127.5.
            kernel = kernel * (128 / 127.5 if name == "conv1" else 1)
            inputs.append(array(f"{name}.weight", kernel))
            if folded:
                # gamma (k x - mean) / sqrt(variance + e) + beta
                gamma, beta, mean, variance = model.get_layer(f"{name}_bn").get_weights()
                slope = gamma / np.sqrt(variance + 1e-5)
                arrays[f"{name}.weight"] *= slope[:, None, None, None]
                inputs.append(array(f"{name}.bias", beta - slope * mean))
            elif name == "conv2":
                # Both a bias and a normalization: (k x + bias) - (mean + bias) = k x - mean.
                inputs.append(array(f"{name}.bias", np.linspace(-2, 2, len(kernel))))
            group = len(kernel) if depthwise else 1
            node("Conv", layer, inputs, strides=layer.strides, pads=4 * [pad], group=group)
            pad = 0
        elif isinstance(layer, layers.BatchNormalization):
            if folded:
                names[layer.output.name] = inputs[0]
                continue
            weights[3] = weights[3] + 1e-5 - FILE_EPSILON  # The same sum with the file's epsilon.
            if name == "conv2_bn":
                weights[2] = weights[2] + arrays["conv2.bias"]
            inputs += [array(f"{name}.{i}", value) for i, value in enumerate(weights)]
            node("BatchNormalization", layer, inputs, epsilon=FILE_EPSILON)
        elif isinstance(layer, layers.PReLU):
            node("PRelu", layer, inputs + [array(f"{name}.slope", weights[0].reshape(-1, 1, 1))])
        elif isinstance(layer, layers.ReLU) and layer.max_value is None:
            node("Relu", layer, inputs)
        elif isinstance(layer, layers.ReLU):
            node("Clip", layer, inputs + [array(f"{name}.0", 0), array(f"{name}.6", 6)])
        elif isinstance(layer, layers.Add):
            node("Add", layer, inputs)
        elif isinstance(layer, layers.Flatten):
            node("Flatten", layer, inputs)
        else:
            node("Identity", layer, inputs)
    return nodes, arrays


FORMS = {"folded": ("relu6", True), "explicit": ("prelu", False)}


@pytest.fixture(scope="module", params=FORMS)
def made_up(onnx_of_onnx_weights, request):
    rectifier, folded = FORMS[request.param]
    model = random_network(rectifier)
    return rectifier, model, parts_of(onnx_of_onnx_weights, model, folded)


@pytest.fixture(scope="module")
def folded_network():
    return random_network("relu6")


@pytest.fixture(scope="module")
def folded_original(onnx_of_onnx_weights, folded_network):
    return parts_of(onnx_of_onnx_weights, folded_network, True)


@pytest.fixture
def folded_parts(onnx_of_onnx_weights, folded_original):
    """Nodes and initializers that a test may change."""
    nodes, arrays = folded_original
    copies = [onnx_of_onnx_weights.NodeProto.FromString(node.SerializeToString()) for node in nodes]
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


def test_made_up_files_give_back_their_network(onnx_of_onnx_weights, made_up, tmp_path):
    rectifier, model, parts = made_up
    path = write_onnx(onnx_of_onnx_weights, tmp_path / "a.onnx", *parts)
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


def test_average_works_at_other_sizes_and_learns(onnx_of_onnx_weights, made_up, tmp_path):
    rectifier, model, parts = made_up
    path = write_onnx(onnx_of_onnx_weights, tmp_path / "a.onnx", *parts)
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


def test_gemm_and_relu_stand_for_what_they_equal(onnx_of_onnx_weights, tmp_path):
    model = random_network("prelu")
    model.get_layer("dw_conv_depthwise_act").alpha.assign(tf.zeros([1, 1, 64]))
    nodes, arrays = parts_of(onnx_of_onnx_weights, model, True)
    at = {node.name: index for index, node in enumerate(nodes)}
    # Relu: PRelu of slope 0. Gemm of the flattened 1 x 1 map: a 1 x 1 convolution.
    relu = nodes[at["dw_conv_depthwise_act"]]
    relu.op_type = "Relu"
    del relu.input[1]
    arrays["conv3.weight"] = arrays["conv3.weight"][:, :, 0, 0]
    gemm = nodes[at["conv3"]]
    flat = onnx_of_onnx_weights.helper.make_node("Flatten", [gemm.input[0]], ["flat"], "flat")
    inputs = ["flat", "conv3.weight", "conv3.bias"]
    gemm = onnx_of_onnx_weights.helper.make_node(
        "Gemm", inputs, list(gemm.output), "conv3", transB=1
    )
    nodes[at["conv3"] : at["conv3"] + 1] = [flat, gemm]
    loaded = load_mobilefacenet(
        write_onnx(onnx_of_onnx_weights, tmp_path / "a.onnx", nodes, arrays), 112, "embedding"
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


def test_what_cannot_be_read_is_refused(onnx_of_onnx_weights, tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(InputError, match="a.onnx does not exist"):
        load_mobilefacenet(path, 48)


def node_of(nodes, name):
    return next(node for node in nodes if node.name == name)


def change_attribute(onnx_of_onnx_weights, nodes, name, **values):
    node = node_of(nodes, name)
    kept = [x for x in node.attribute if x.name not in values]
    kept += [
        onnx_of_onnx_weights.helper.make_attribute(key, value) for key, value in values.items()
    ]
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


MISTAKES = {
    "another stride": (
        lambda o, n, a: change_attribute(o, n, "block05_depthwise", strides=[1, 1]),
        r"block05_depthwise wants {'strides': \[2, 2\]}.*{'strides': \[1, 1\]}",
    ),
    "another padding": (
        lambda o, n, a: change_attribute(o, n, "conv1", pads=[0, 0, 1, 1]),
        r"conv1 wants {'pads': \[1, 1, 1, 1\]}.*\[0, 0, 1, 1\]",
    ),
    "padding by the framework": (
        lambda o, n, a: change_attribute(o, n, "conv1", auto_pad="SAME_UPPER"),
        "conv1 wants {'auto_pad'.*SAME_UPPER",
    ),
    "dilation": (
        lambda o, n, a: change_attribute(o, n, "conv1", dilations=[2, 2]),
        "conv1 wants {'dilations'",
    ),
    "another limit": (
        lambda o, n, a: a.update({"conv1_act.6": np.float32(5)}),
        "conv1_act wants a Clip from 0 to 6",
    ),
    "missing rectifier": (lambda o, n, a: drop(n, "block02_expand_act"), "block02_expand_act"),
    "missing residual": (lambda o, n, a: drop(n, "block03_add"), "block03_add wants a Add"),
    "residual of another block": (
        lambda o, n, a: rewire(n, "block03_add", 0, "block01_add"),
        "block03_add wants a Add of .*block02_add",
    ),
    "bias of another length": (
        lambda o, n, a: a.update({"block02_expand.bias": np.zeros(64, "float32")}),
        r"block02_expand wants a vector \[128\].*block02_expand.bias \[64\]",
    ),
    "whole numbers": (
        lambda o, n, a: a.update({"conv2.bias": np.zeros(512, "int64")}),
        "conv2.bias, which is not a constant of finite",
    ),
    "not a number": (
        lambda o, n, a: a["conv2.bias"].__setitem__(3, np.nan),
        "conv2.bias, which is not a constant of finite",
    ),
    "no such weights": (lambda o, n, a: a.pop("conv2.bias"), "2 inputs|conv2.bias, which is not"),
    "more after the end": (
        lambda o, n, a: n.append(o.helper.make_node("Sigmoid", ["embedding"], ["y"], "extra")),
        "wants its end.*Sigmoid.*extra",
    ),
    "reshaped inside": (
        lambda o, n, a: (
            n.insert(1, o.helper.make_node("Flatten", ["conv1"], ["x"], "inside")),
            rewire(n, "conv1_act", 0, "x"),
        ),
        "conv1_act wants a Clip.*Flatten.*inside",
    ),
    "no rectifier that is known": (
        lambda o, n, a: [setattr(x, "op_type", "Elu") for x in n if x.op_type == "Clip"],
        "neither PRelu nor Clip",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_another_network_is_refused_with_the_place(
    onnx_of_onnx_weights, folded_parts, built_once, tmp_path, name
):
    nodes, arrays = folded_parts
    change, text = MISTAKES[name]
    change(onnx_of_onnx_weights, nodes, arrays)
    path = write_onnx(onnx_of_onnx_weights, tmp_path / "a.onnx", nodes, arrays)
    with pytest.raises(InputError, match=text) as caught:
        load_mobilefacenet(path, 48)
    assert str(path) in str(caught.value)


def test_names_that_do_not_match_are_listed_at_most_ten(
    onnx_of_onnx_weights, folded_parts, built_once, tmp_path
):
    nodes, arrays = folded_parts
    for index in range(3):
        arrays[f"block0{index}_expand.weight"] = np.zeros([100, 64, 1, 1], "float32")
    path = write_onnx(onnx_of_onnx_weights, tmp_path / "a.onnx", nodes, arrays)
    with pytest.raises(InputError) as caught:
        load_mobilefacenet(path, 48)
    expected = "; ".join(
        f"block0{index}_expand [128, 64, 1, 1] against block0{index}_expand.weight [100, 64, 1, 1]"
        for index in range(3)
    )
    assert (
        f"51 convolutions, ours 51, and 3 do not match (ours against the file's): {expected}."
        in (str(caught.value))
    )
    for index in range(15):
        arrays[f"block{index:02d}_expand.weight"] = np.zeros([100, 64, 1, 1], "float32")
    write_onnx(onnx_of_onnx_weights, path, nodes, arrays)
    with pytest.raises(InputError, match="15 do not match.*; and 5 more") as caught:
        load_mobilefacenet(path, 48)
    assert str(caught.value).count(" against block") == 10


def test_too_few_and_too_many_convolutions_are_refused(
    onnx_of_onnx_weights, folded_parts, built_once, tmp_path
):
    nodes, arrays = folded_parts
    extra = onnx_of_onnx_weights.helper.make_node(
        "Conv", ["conv3", "conv3.weight"], ["conv4"], "conv4", pads=4 * [0], strides=[1, 1]
    )
    more = [*nodes[:-1], extra, nodes[-1]]
    path = write_onnx(onnx_of_onnx_weights, tmp_path / "more.onnx", more, arrays)
    text = (
        r"52 convolutions, ours 51, and 1 do not.*nothing against conv3.weight \[128, 512, 1, 1\]"
    )
    with pytest.raises(InputError, match=text):
        load_mobilefacenet(path, 48)
    drop(nodes, "conv3")
    path = write_onnx(onnx_of_onnx_weights, tmp_path / "fewer.onnx", nodes, arrays)
    with pytest.raises(InputError, match=r"50 conv.*conv3 \[128, 512, 1, 1\] against nothing"):
        load_mobilefacenet(path, 48)
