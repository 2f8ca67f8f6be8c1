"""Made-up models of valence and arousal, for the tests: sums of an image's mean colors.

Each gives, of an image whose mean red, green and blue are r, g, b after scaling,
  column 0: 9, column 1: r, column 2: g - b
"""

import numpy as np

SIZE = 6
WEIGHTS = np.array([[0, 1, 0], [0, 0, 1], [0, 0, -1]], np.float32)  # color -> column
BIAS = np.array([9, 0, 0], np.float32)


def onnx_model(onnx, path, size=SIZE, batch="N", weights=WEIGHTS, bias=BIAS, channels=3):
    """NCHW float, output "scores" [N, columns]."""
    value = onnx.helper.make_tensor_value_info
    float_ = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("GlobalAveragePool", ["images"], ["means"]),
            onnx.helper.make_node("Flatten", ["means"], ["colors"]),
            onnx.helper.make_node("Gemm", ["colors", "weights", "bias"], ["scores"]),
        ],
        "made_up",
        [value("images", float_, [batch, channels, size, size])],
        [value("scores", float_, [batch, len(bias)])],
        [
            onnx.numpy_helper.from_array(x, name)
            for name, x in (("weights", weights), ("bias", bias))
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 13)]
    made = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(made.SerializeToString())
    return path


def keras_model(tf, size=SIZE):
    """NHWC float, two outputs: "valence" [N, 1] is r, "arousal" [N, 1] is g - b."""
    images = tf.keras.Input([size, size, 3])
    means = tf.keras.layers.GlobalAveragePooling2D()(images)

    def output(name, column):
        kernel = tf.keras.initializers.Constant(WEIGHTS[:, [column]].tolist())
        return tf.keras.layers.Dense(1, kernel_initializer=kernel, name=name)(means)

    return tf.keras.Model(images, [output("valence", 1), output("arousal", 2)])


def faces(count, size=SIZE, seed=0):
    """Random uint8 RGB pictures of one color each, and valence and arousal as the models say,

    pixels being scaled by 1/255.
    """
    colors = np.random.default_rng(seed).integers(0, 256, [count, 3], np.uint8)
    images = np.broadcast_to(colors[:, np.newaxis, np.newaxis], [count, size, size, 3])
    red, green, blue = colors.T / 255
    return np.ascontiguousarray(images), np.stack([red, green - blue], axis=1)
