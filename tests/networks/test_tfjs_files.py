"""TensorFlow.js graph models: what is read and run of them, and what is refused."""

import numpy as np
import pytest
from helpers.tfjs_files import changed, small_graph, write_tfjs

from ldl_fer.errors import InputError
from ldl_fer.networks.tfjs_files import read_tfjs, run_tfjs


@pytest.fixture
def file(tmp_path):
    return write_tfjs(tmp_path / "small.json", *small_graph())


def test_a_graph_is_run_as_far_as_it_is_read(file):
    graph = read_tfjs(file, "Mean")
    assert {node.name for node in graph.nodes} == {
        *("x", "kernel", "factor", "bias", "six", "zero", "axes"),
        *("conv", "scaled", "biased", "relu", "low", "clip", "mean"),
    }
    images = np.random.default_rng(0).uniform(-1, 1, [2, 5, 5, 3]).astype(np.float32)
    level = 3 * images[:, ::2, ::2].sum(axis=-1, keepdims=True) + 1
    expected = np.clip(level, 0, 6).mean(axis=(1, 2)).repeat(2, axis=1)
    np.testing.assert_allclose(run_tfjs(graph, images), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="Conv2D conv: "):
        run_tfjs(graph, images[..., :2])


def test_weights_may_lie_in_several_files(file):
    expected = read_tfjs(file, "Mean").constants
    content = file.with_suffix(".bin").read_bytes()
    for name, part in (("a.bin", content[:7]), ("b.bin", content[7:])):
        (file.parent / name).write_bytes(part)
    changed(file, lambda json: json["weightsManifest"][0].update(paths=["a.bin", "b.bin"]))
    found = read_tfjs(file, "Mean").constants
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def _weight(number, **entries):
    return lambda json: json["weightsManifest"][0]["weights"][number].update(entries)


def _node(name, **entries):
    def change(json):
        (found,) = [one for one in json["modelTopology"]["node"] if one["name"] == name]
        found.update(entries)

    return change


def _attribute(**entries):
    def change(json):
        (found,) = [one for one in json["modelTopology"]["node"] if one["name"] == "conv"]
        found["attr"].update(entries)

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda json: json.pop("modelTopology"), "small.json is damaged.*modelTopology"),
        (lambda json: json.update(modelTopology={"model_config": {}}), "is no graph model"),
        (lambda json: json.pop("weightsManifest"), "small.json is damaged.*weightsManifest"),
        (lambda json: json["modelTopology"].update(node=[1]), "small.json is damaged"),
        (_weight(0, quantization={"dtype": "uint8", "scale": 1, "min": 0}), "quantized.*uint8"),
        (_weight(0, dtype="string"), r"of another type \(string\)"),
        (_weight(0, shape=[1, 1, 3, 3]), r"small.bin is damaged.* 68 bytes for it.* 56"),
        (_weight(0, shape=[-1, -1, 3, 2]), "kernel has the shape"),
        (_weight(0, name="other"), "there are no weights for kernel"),
        (_node("relu", op="Elu"), "has an operation that is not known here: Elu"),
        (_node("mean", op="Sum"), "has no Mean"),
        (_node("relu", input=["nowhere"]), "small.json is damaged.*nowhere"),
        (_node("relu", input=["clip"]), "small.json is damaged.*cycle"),
        (_node("conv", input=["x"]), "small.json is damaged.*not enough values"),
        (_attribute(dilations={"list": {"i": ["1", "2", "2", "1"]}}), "conv is dilated"),
        (_attribute(data_format={"s": "TkNIVw=="}), "has its channels first"),
        (_attribute(padding={"s": "%"}), "small.json is damaged"),
        (lambda json: json["weightsManifest"][0].update(paths=["../x.bin"]), "lie beside it"),
        (lambda json: json["weightsManifest"][0].update(paths=["x.bin"]), "x.bin cannot be read"),
    ],
)
def test_what_is_no_graph_that_is_known_is_refused(file, change, text):
    with pytest.raises(InputError, match=text) as refused:
        read_tfjs(changed(file, change), "Mean")
    assert str(refused.value).count(str(file.parent)) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"["], ids=repr)
@pytest.mark.parametrize("times", [1, 100_000])
def test_what_is_no_json_of_it_is_refused(file, content, times):
    file.write_bytes(times * content)
    with pytest.raises(InputError, match="small.json is "):
        read_tfjs(file, "Mean")


def test_a_missing_or_a_short_file_is_named(file):
    weights = file.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"small.bin is damaged.*56 bytes for it.* there are 55"):
        read_tfjs(file, "Mean")
    weights.unlink()
    with pytest.raises(InputError, match="small.bin cannot be read: No such file"):
        read_tfjs(file, "Mean")
    with pytest.raises(InputError, match="gone.json cannot be read: No such file"):
        read_tfjs(file.with_name("gone.json"), "Mean")
