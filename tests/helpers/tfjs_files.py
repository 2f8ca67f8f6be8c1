"""Made-up TensorFlow.js graph models, a faceres-deep's among them."""

import base64
import json

import numpy as np

from ldl_fer.networks.faceres import faceres


def node(name, op, *inputs, **attributes):
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def convolution(name, x, kernel, strides=1, depthwise=False):
    op = "DepthwiseConv2dNative" if depthwise else "Conv2D"
    texts = {"padding": "SAME", "data_format": "NHWC"}
    texts = {k: {"s": base64.b64encode(v.encode()).decode()} for k, v in texts.items()}
    steps = {"list": {"i": ["1", str(strides), str(strides), "1"]}}
    ones = {"list": {"i": ["1", "1", "1", "1"]}}
    return node(name, op, x, kernel, strides=steps, dilations=ones, **texts)


def write_tfjs(path, nodes, constants):
    """Writes .json and .bin; a Const stands for each constant, as the converter writes it."""
    kinds = {np.dtype(np.float32): "float32", np.dtype(np.int32): "int32"}
    weights = [
        {"name": name, "shape": list(value.shape), "dtype": kinds[value.dtype]}
        for name, value in constants.items()
    ]
    content = {
        "format": "graph-model",
        "modelTopology": {"node": [*(node(name, "Const") for name in constants), *nodes]},
        "weightsManifest": [{"paths": [f"{path.stem}.bin"], "weights": weights}],
    }
    path.write_text(json.dumps(content))
    path.with_suffix(".bin").write_bytes(b"".join(v.tobytes() for v in constants.values()))
    return path


def changed(path, change):
    """Changes the JSON in place by a function of its content."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def small_graph():
    """Mean(max(min(ReLU(3 conv(x) + 1), 6), 0)), behind it an operation that is none of ours."""
    nodes = [
        node("mean", "Mean", "clip", "axes"),  # the order of a file's nodes is not that of a run
        node("answer", "Softmax", "mean"),
        node("x", "Placeholder"),
        convolution("conv", "x", "kernel", 2),
        node("scaled", "Mul", "conv", "factor"),
        node("biased", "AddV2", "scaled", "bias"),
        node("relu", "Relu", "biased"),
        node("low", "Minimum", "relu", "six"),
        node("clip", "Maximum", "low", "zero"),
    ]
    constants = {
        "kernel": np.ones([1, 1, 3, 2], np.float32),
        "factor": np.float32([3, 3]),
        "bias": np.float32([1, 1]),
        **{"six": np.float32(6), "zero": np.float32(0), "axes": np.int32([1, 2])},
    }
    return nodes, constants


def faceres_graph(seed=0):
    """A faceres-deep of random weights whose maps neither vanish nor saturate: the model, a graph.

    As in the true file, depthwise convolutions have their normalization's factor in a node.
    """
    model, random = faceres(32), np.random.default_rng(seed)
    nodes, constants, x = [node("input", "Placeholder")], {}, "input"
    constants |= {"six": np.float32(6), "zero": np.float32(0), "axes": np.int32([1, 2])}
    for layer in model.layers:
        name = layer.name
        if not name.startswith(("conv1", "dw_", "pw_")) or name.endswith("_act"):
            continue
        depthwise = name.startswith("dw_")
        shape = tuple(layer.weights[0].shape)
        deviation = (2 / np.prod(shape[:2] if depthwise else shape[:3])) ** 0.5
        deviation /= 100 if name == "conv1" else 1  # of gray levels
        kernel = random.normal(0, deviation, shape).astype(np.float32)
        bias = random.uniform(0, 0.3, layer.weights[1].shape).astype(np.float32)
        nodes.append(convolution(f"{name}_conv", x, f"{name}/kernel", layer.strides[0], depthwise))
        constants |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
        x = f"{name}_conv"
        if depthwise:
            factor = random.uniform(0.5, 1.5, len(bias)).astype(np.float32)
            constants[f"{name}/factor"] = factor
            nodes.append(node(f"{name}_mul", "Mul", x, f"{name}/factor"))
            kernel, x = kernel * factor[:, np.newaxis], f"{name}_mul"
        layer.set_weights([kernel, bias])
        for kind, op, other in (
            ("add", "Add", [f"{name}/bias"]),
            ("relu", "Relu", []),
            ("low", "Minimum", ["six"]),
            ("clip", "Maximum", ["zero"]),
        ):
            nodes.append(node(f"{name}_{kind}", op, x, *other))
            x = f"{name}_{kind}"
    nodes.append(node("mean", "Mean", x, "axes"))
    nodes.append(node("age", "Softmax", "mean"))
    return model, nodes, constants
