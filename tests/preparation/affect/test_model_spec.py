"""Specs from flags and JSON: the formula of scaling, fractions, and mistakes named."""

import json

import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.preparation.affect.model_spec import NAMED_SPECS, ModelSpec, make_spec, read_spec


def test_pixels_are_scaled_shifted_and_divided_in_the_order_of_the_channels():
    spec = make_spec(
        {"channels": "BGR", "scale": "1/255", "mean": [0.1, 0.2, 0.3], "std": ["0.5", 1, 2]}, "x"
    )
    pixel = np.array([[[[51, 102, 255]]]], np.uint8)  # red, green, blue
    # blue first: (255/255 - 0.1) / 0.5, (102/255 - 0.2) / 1, (51/255 - 0.3) / 2
    np.testing.assert_allclose(spec.normalized(pixel)[0, 0, 0], [1.8, 0.2, -0.05], rtol=1e-6)
    shifted = make_spec({"scale": 1 / 127.5, "offset": -1}, "x")
    np.testing.assert_allclose(shifted.normalized(pixel)[0, 0, 0], [-0.6, -0.2, 1.0], atol=1e-6)


def test_whether_scaling_is_given_is_known():
    assert not make_spec({"image_size": 48}, "x").scaling_known
    assert make_spec({"scale": 1}, "x").scaling_known


def test_json_there_and_back_and_flags_over_it(tmp_path):
    spec = ModelSpec(image_size=112, mean=(127.5,), std=(128.0,), outputs=("va",), columns=(-2, -1))
    (tmp_path / "s.json").write_text(spec.to_json())
    assert read_spec(tmp_path / "s.json") == spec
    changed = read_spec(tmp_path / "s.json", {"image_size": "96", "tanh": None, "std": ["64"]})
    assert changed.image_size == 96 and changed.std == (64.0,) and changed.mean == (127.5,)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": 3}, "there is no 'size'"),
        ({"channels": "GBR"}, "RGB, BGR"),
        ({"mean": [1, 2]}, "1 or 3 values"),
        ({"mean": "a/b"}, "mean is 'a/b'"),
        ({"scale": "1/0"}, "scale is '1/0'"),
        ({"std": 0}, "must not be 0"),
        ({"columns": [1]}, "2 values"),
        ({"columns": [0.9, 1]}, "whole numbers"),
        ({"image_size": "225/2"}, "whole numbers"),
        ({"image_size": float("inf")}, "whole numbers"),
        ({"outputs": ["a", "b", "c"]}, "1 or 2 values"),
        ({"tanh": "yes"}, "true or false"),
        ({"image_size": 0}, "at least 1 pixel"),
    ],
)
def test_mistakes_name_the_file_and_the_entry(settings, text, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=text) as caught:
        read_spec(tmp_path / "s.json")
    assert "s.json" in str(caught.value)


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_a_file_that_is_no_object_is_refused(text, tmp_path):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(InputError, match="s.json"):
        read_spec(tmp_path / "s.json")


def test_the_example_of_an_object_is_one(tmp_path):
    (tmp_path / "s.json").write_text("[1]")
    with pytest.raises(InputError) as caught:
        read_spec(tmp_path / "s.json")
    example = str(caught.value).partition("such as ")[2].removesuffix(".")
    (tmp_path / "s.json").write_text(example)
    assert read_spec(tmp_path / "s.json").image_size == 112


@pytest.mark.parametrize("name", NAMED_SPECS)
def test_a_name_is_a_spec_and_flags_override_it(name):
    spec = read_spec(name)
    sizes = dict(zip(NAMED_SPECS, (224, 260, 112, 256), strict=True))
    assert spec.image_size == sizes[name] and spec.scaling_known
    assert (spec.channels, spec.layout) == ("RGB", "NCHW")
    assert spec.columns == (() if name == "emonet" else (-2, -1))
    assert read_spec(name, {"layout": "NHWC", "columns": None}).layout == "NHWC"


def test_pixels_of_the_named_specs():
    pixel = np.array([[[[0, 255, 51]]]], np.uint8)
    for name, wanted in {
        "hsemotion_enet_b0": [-0.485 / 0.229, 0.544 / 0.224, -0.206 / 0.225],
        "hsemotion_mbf": [-1.0, 1.0, -0.6],
        "emonet": [0.0, 1.0, 0.2],
    }.items():
        np.testing.assert_allclose(read_spec(name).normalized(pixel)[0, 0, 0], wanted, rtol=1e-5)


def test_an_unknown_name_lists_the_names():
    with pytest.raises(InputError, match="enet_b9 is neither a file nor .*hsemotion_mbf, emonet"):
        read_spec("enet_b9")
