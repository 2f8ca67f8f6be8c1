"""SavedModels whose graphs reach out are refused by the names of the operations."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.affect_models import keras_model
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from ldl_fer.errors import InputError
from ldl_fer.networks.model_files import load_saved_model
from ldl_fer.preparation.affect.model import load_affect_model
from ldl_fer.preparation.affect.model_spec import ModelSpec

SPEC = tf.TensorSpec([None, 4, 4, 3])


def write(module, folder, function):
    module.run = tf.function(function, input_signature=[SPEC])
    tf.saved_model.save(module, str(folder), signatures=module.run)


def table(path):
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    source = tf.lookup.TextFileInitializer(str(path), tf.string, line, tf.int64, number)
    return tf.lookup.StaticHashTable(source, -1)


def answers(effect):
    """A network's function that does something beside."""

    def function(images):
        with tf.control_dependencies([effect(images)]):
            return {"out": tf.reduce_mean(images, [1, 2])}

    return function


@pytest.mark.parametrize(
    ("effect", "operation"),
    [
        (lambda x: tf.io.read_file("/etc/hostname"), "ReadFile"),
        (lambda x: tf.io.write_file("planted", "x"), "WriteFile"),
        (lambda x: tf.io.matching_files("/*"), "MatchingFiles"),
        (lambda x: tf.py_function(lambda: 1.0, [], tf.float32), "EagerPyFunc"),
        (lambda x: tf.numpy_function(lambda: 1.0, [], tf.float64), "PyFunc"),
        (lambda x: tf.print("x", output_stream="file://planted"), "PrintV2"),
        (
            lambda x: tf.raw_ops.SaveV2(
                prefix="p", tensor_names=["x"], shape_and_slices=[""], tensors=[x]
            ),
            "SaveV2",
        ),  # fmt: skip
        (
            lambda x: tf.raw_ops.RestoreV2(
                prefix="p", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
            )[0],
            "RestoreV2",
        ),  # fmt: skip
        (
            lambda x: tf.raw_ops.ImmutableConst(
                dtype=tf.float32, shape=[1], memory_region_name="/etc/x"
            ),
            "ImmutableConst",
        ),  # fmt: skip
        (lambda x: tf.cond(tf.size(x) > 3, lambda: tf.io.read_file("x"), lambda: "y"), "ReadFile"),
        (lambda x: tf.data.TFRecordDataset("x").reduce(0, lambda n, _: n + 1), "TFRecordDataset"),
    ],
)
def test_operations_that_reach_out_are_refused_by_name(effect, operation, tmp_path):
    write(tf.Module(), tmp_path / "m", answers(effect))
    with pytest.raises(InputError, match=rf"graph holds .*\b{operation}\b.*--trust_model"):
        load_saved_model(tmp_path / "m")
    assert load_saved_model(tmp_path / "m", trust=True).signatures


def test_a_table_read_from_a_file_is_refused(tmp_path):
    (tmp_path / "words").write_text("a\nb\n")
    module = tf.Module()
    module.table = table(tmp_path / "words")
    write(module, tmp_path / "m", answers(lambda x: module.table.lookup(tf.constant(["a"]))))
    with pytest.raises(InputError, match="HashTableV2, InitializeTableFromTextFileV2"):
        load_saved_model(tmp_path / "m")


def test_the_saver_is_let_be_unless_others_call_it(tmp_path):
    """A file that calls its evil function the saver's gains nothing by it."""
    module = tf.Module()
    module.variable = tf.Variable(1.0)
    write(module, tmp_path / "m", answers(lambda x: module.variable + 1.0))
    assert load_saved_model(tmp_path / "m").signatures
    write(tf.Module(), tmp_path / "n", answers(lambda x: tf.io.write_file("planted", "x")))
    file = tmp_path / "n" / "saved_model.pb"
    content = SavedModel.FromString(file.read_bytes())
    (graph,) = content.meta_graphs
    signature = graph.signature_def["serving_default"]
    (output,) = signature.outputs.values()
    graph.saver_def.save_tensor_name = output.name
    file.write_bytes(content.SerializeToString())
    with pytest.raises(InputError, match="WriteFile"):
        load_saved_model(tmp_path / "n")


def test_an_unknown_operation_is_refused(tmp_path):
    write(tf.Module(), tmp_path / "m", answers(lambda x: x))
    file = tmp_path / "m" / "saved_model.pb"
    content = SavedModel.FromString(file.read_bytes())
    content.meta_graphs[0].graph_def.library.function[0].node_def.add(name="n", op="MineAlone")
    file.write_bytes(content.SerializeToString())
    with pytest.raises(InputError, match="MineAlone"):
        load_saved_model(tmp_path / "m")


def test_damage_is_an_input_error(tmp_path):
    keras_model(tf).save(tmp_path / "m")
    file = tmp_path / "m" / "saved_model.pb"
    whole = np.frombuffer(file.read_bytes(), np.uint8)
    for length in np.random.default_rng(0).integers(len(whole), size=5):
        file.write_bytes(whole[:length].tobytes())
        with pytest.raises(InputError, match="saved_model.pb"):
            load_affect_model(tmp_path / "m", ModelSpec(scale=(1.0,)))
    file.write_bytes(whole.tobytes())
    data = next((tmp_path / "m" / "variables").glob("*.data*"))
    data.write_bytes(b"")
    with pytest.raises(InputError, match="is damaged"):
        load_affect_model(tmp_path / "m", ModelSpec(scale=(1.0,)))
