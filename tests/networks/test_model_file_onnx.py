"""ONNX files: external data out of their folder and foreign operators are refused in words."""

import os

import numpy as np
import pytest
from helpers.affect_models import SIZE, faces, onnx_model

from ldl_fer.errors import InputError
from ldl_fer.networks.model_files import read_onnx
from ldl_fer.preparation.affect.model import load_affect_model
from ldl_fer.preparation.affect.model_spec import ModelSpec

SPEC = ModelSpec(scale=(1 / 255,), columns=(1, 2))


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime", reason="needs the optional package onnxruntime")
    return pytest.importorskip("onnx", reason="needs the optional package onnx")


def change(onnx, path, what):
    model = onnx.ModelProto.FromString(path.read_bytes())
    what(model)
    path.write_bytes(model.SerializeToString())
    return path


def outsourced(location):
    """Keeps the first constant in a file of that name."""

    def what(model):
        tensor = model.graph.initializer[0]
        content = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = tensor.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        what.content = content

    return what


def test_weights_beside_the_file_are_read(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")
    what = outsourced("weights.bin")
    change(onnx, path, what)
    with pytest.raises(InputError, match="weights.bin, which does not exist"):
        load_affect_model(path, SPEC)
    (tmp_path / "weights.bin").write_bytes(what.content)
    images, wanted = faces(3)
    np.testing.assert_allclose(load_affect_model(path, SPEC).predict(images), wanted, atol=1e-5)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "a/../../secret", "link", ""])
def test_weights_out_of_the_folder_are_refused(location, onnx, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(100))
    (tmp_path / "m").mkdir()
    os.symlink(tmp_path / "secret", tmp_path / "m" / "link")
    path = onnx_model(onnx, tmp_path / "m" / "m.onnx")
    change(onnx, path, outsourced(location))
    with pytest.raises(InputError, match="m.onnx is refused: its tensor weights is kept in"):
        load_affect_model(path, SPEC)


def test_weights_within_branches_are_seen(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")

    def what(model):
        tensor = onnx.helper.make_tensor("hidden", onnx.TensorProto.FLOAT, [1], [1.0])
        tensor.external_data.add(key="location", value="../secret")
        branch = onnx.helper.make_graph([], "branch", [], [], [tensor])
        model.graph.node.append(onnx.helper.make_node("If", ["c"], ["d"], then_branch=branch))

    change(onnx, path, what)
    with pytest.raises(InputError, match="its tensor hidden is kept in ../secret"):
        read_onnx(path)


def test_operators_of_other_libraries_are_refused(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")

    def what(model):
        model.graph.node[1].domain = "my.library"

    change(onnx, path, what)
    with pytest.raises(InputError, match="Flatten of my.library"):
        load_affect_model(path, SPEC)


def test_damage_is_an_input_error_that_names_the_file(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx", SIZE)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    contents = [whole[:count] for count in range(0, len(whole), 20)]
    for _ in range(50):
        flipped = whole.copy()
        flipped[random.integers(len(whole), size=5)] ^= np.uint8(255)
        contents.append(flipped)
    refused = 0
    for content in contents:
        path.write_bytes(content.tobytes())
        try:
            load_affect_model(path, SPEC)
        except InputError as error:
            assert "m.onnx" in str(error)
            refused += 1
    assert refused > len(contents) / 2
