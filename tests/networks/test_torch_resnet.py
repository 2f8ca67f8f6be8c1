"""ResNets from PyTorch's files against ONNX Runtime on the same picture; other files refused."""

import numpy as np
import pytest
from helpers.torch_weights import state_dict, write_pth, write_safetensors

from ldl_fer.config import Config
from ldl_fer.errors import InputError
from ldl_fer.networks.network import build_network
from ldl_fer.networks.pooled_maps import RESNET18_MAPS, RESNET50_MAPS, pooled_maps
from ldl_fer.networks.torch_resnet import BLOCKS, load_torch_resnet, torch_resnet

SIDE = 64


def onnx_twin(onnx, weights, blocks, bottleneck):
    """torchvision's graph, written here anew: images [1, 3, H, W] -> features and each stage."""
    nodes, used, value = [], set(), onnx.helper.make_tensor_value_info

    def node(kind, inputs, **attributes):
        output = f"t{len(nodes)}"
        nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))
        used.update(inputs)
        return output

    def convolution(x, name, norm, stride, relu=True):
        pad = weights[f"{name}.weight"].shape[-1] // 2
        x = node("Conv", [x, f"{name}.weight"], strides=[stride] * 2, pads=[pad] * 4)
        kinds = ("weight", "bias", "running_mean", "running_var")
        x = node("BatchNormalization", [x, *(f"{norm}.{kind}" for kind in kinds)], epsilon=1e-5)
        return node("Relu", [x]) if relu else x

    x = convolution("images", "conv1", "bn1", 2)
    x = node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    stages = []
    for stage, count in enumerate(blocks):
        for block in range(count):
            at, y = f"layer{stage + 1}.{block}", x
            stride = 2 if stage and block == 0 else 1
            strides = (1, stride, 1) if bottleneck else (stride, 1)
            for number, one in enumerate(strides, 1):
                last = number == len(strides)
                y = convolution(y, f"{at}.conv{number}", f"{at}.bn{number}", one, not last)
            if f"{at}.downsample.0.weight" in weights:
                x = convolution(x, f"{at}.downsample.0", f"{at}.downsample.1", stride, False)
            x = node("Relu", [node("Add", [x, y])])
        stages.append(x)
    outputs = [node("GlobalAveragePool", [x]), *stages]
    graph = onnx.helper.make_graph(
        nodes,
        "resnet",
        [value("images", 1, [1, 3, SIDE, SIDE])],
        [value(name, 1, None) for name in outputs],
        [onnx.numpy_helper.from_array(weights[name], name) for name in used & weights.keys()],
    )
    opsets = [onnx.helper.make_opsetid("", 13)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def pooled_by_numpy(maps):
    parts = []
    for x in maps:
        half = x.shape[2] // 2
        upper, lower = x[:, :, : x.shape[2] - half], x[:, :, half:]
        parts += [upper.mean((2, 3)), lower.mean((2, 3)), x.max((2, 3))]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("resnet18", RESNET18_MAPS), pytest.param("resnet50", RESNET50_MAPS, marks=pytest.mark.slow)],
)
def test_features_and_frozen_maps_are_those_of_onnx_runtime(name, kept, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the optional package onnx")
    runtime = pytest.importorskip("onnxruntime", reason="needs the optional package onnxruntime")
    bottleneck = name == "resnet50"
    weights = state_dict(bottleneck, blocks=BLOCKS[name])
    path = write_safetensors(tmp_path / "w.safetensors", weights)
    picture = np.random.default_rng(1).integers(0, 256, [1, SIDE, SIDE, 3]).astype(np.float32)
    scaled = (picture / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    fed = scaled.astype(np.float32).transpose(0, 3, 1, 2)
    session = runtime.InferenceSession(onnx_twin(onnx, weights, BLOCKS[name], bottleneck))
    wanted, *stages = session.run(None, {"images": fed})

    settings = Config().replace(backbone=name, pretrained=str(path)).network
    network = build_network(settings, SIDE, 7)
    features = network(picture, training=False)[0].numpy()
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(features, wanted.reshape(1, -1), atol=1e-4 * np.abs(wanted).max())
    pooled = pooled_maps(network.get_layer("backbone"))(picture / 127.5 - 1).numpy()
    maps = pooled_by_numpy(stages[-len(kept) :])
    assert pooled.shape == maps.shape == (1, 3 * sum(kept.values()))
    np.testing.assert_allclose(pooled, maps, atol=1e-4 * np.abs(maps).max())
    unread = build_network(settings, SIDE, 7, load=False)  # as a run is restored
    assert [tuple(v.shape) for v in unread.weights] == [tuple(v.shape) for v in network.weights]


def test_a_pth_gives_the_weights_of_the_safetensors(tmp_path, monkeypatch):
    weights = state_dict()
    first = load_torch_resnet(
        write_safetensors(tmp_path / "w.safetensors", weights), "resnet18", 32
    )
    path = write_pth(tmp_path / "w.pth", {"state_dict": weights}, monkeypatch)
    second = load_torch_resnet(path, "resnet18", 32)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"layer1.0.conv1.weight": None}, "there is no layer1.0.conv1.weight"),
        ({"bn1.bias": np.zeros(3, np.float32)}, r"bn1.bias has the shape \(3,\)"),
        ({"layer5.0.conv1.weight": np.zeros(3, np.float32)}, "1 more tensors, as layer5.0"),
        ({"bn1.bias": np.full(64, np.nan, np.float32)}, "bn1.bias has values that are not finite"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, change, text):
    weights = {n: v for n, v in (state_dict() | change).items() if v is not None}
    path = write_safetensors(tmp_path / "w.safetensors", weights)
    with pytest.raises(InputError, match=f"w.safetensors is no resnet18 .*{text}"):
        load_torch_resnet(path, "resnet18", 32)


def test_pixels_are_scaled_by_imagenets_constants():
    pixels = torch_resnet("resnet18", 32).get_layer("torch_pixels")
    gray = np.float32([[[[1.0, 0.0, -1.0]]]])  # 255, 127.5, 0
    wanted = [0.515 / 0.229, 0.044 / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(pixels(gray)[0, 0, 0], wanted, rtol=1e-5)
