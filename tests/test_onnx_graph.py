"""ONNX files as nodes and constants: what is left out, every form of kernel and limit, refusals."""

import sys

import numpy as np
import pytest
from onnx_files import write_onnx

from ldl_fer.backbones.onnx_graph import read_graph
from ldl_fer.errors import InputError

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
