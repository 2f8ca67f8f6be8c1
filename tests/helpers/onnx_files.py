"""Made-up ONNX files, for the tests of reading them."""


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
