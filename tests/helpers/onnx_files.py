"""Made-up ONNX files, a MobileFaceNet's among them, for the tests of reading them."""

import numpy as np
import tensorflow as tf

from ldl_fer.networks.mobilefacenet import mobilefacenet

layers = tf.keras.layers
FILE_EPSILON = 1e-3  # Unlike ours, 1e-5.


def write_onnx(onnx, path, nodes, arrays):
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "made_up",
        [value("images", onnx.TensorProto.FLOAT, ["N", 3, 112, 112])],
        [value(nodes[-1].output[0], onnx.TensorProto.FLOAT, ["N", 128])],
        [onnx.numpy_helper.from_array(x, name) for name, x in arrays.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 13)]
    path.write_bytes(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


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


def parts_of(onnx, model, folded):
    """The network as ONNX nodes and initializers, for images (x - 127.5) / 128."""
    nodes, arrays, names, pad = [], {}, {}, 0

    def node(op, layer, inputs, **attributes):
        nodes.append(onnx.helper.make_node(op, inputs, [layer.name], layer.name, **attributes))

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
