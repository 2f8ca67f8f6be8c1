"""Model files from elsewhere: what holds code is refused unless trusted, what is damaged always."""

import json
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf
from helpers.affect_models import SIZE, keras_model, onnx_model
from helpers.planted import Planted
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from ldl_fer.config.settings import NetworkConfig
from ldl_fer.errors import InputError
from ldl_fer.networks.model_files import load_keras_model, load_saved_model, read_onnx
from ldl_fer.networks.network import build_network
from ldl_fer.preparation.affect.model import load_affect_model
from ldl_fer.preparation.affect.model_spec import ModelSpec

layers = tf.keras.layers
IMAGES = np.random.default_rng(0).uniform(size=[2, 4, 4, 3]).astype("float32")

# --- Keras ---------------------------------------------------------------------------------------

KINDS = ("a.h5", "a.keras", "folder")


def saved(path, *extra):
    """A small network with further layers, saved."""
    images = x = tf.keras.Input([4, 4, 3])
    for layer in (layers.Conv2D(2, 3), *extra, layers.GlobalAveragePooling2D()):
        x = layer(x)
    model = tf.keras.Model(images, x)
    model.save(path, **({} if path.suffix else {"save_format": "tf"}))
    return model


def rewritten(path, change):
    """Changes the description of the layers in a .keras or .h5 file."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"])))
        return
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = json.dumps(change(json.loads(parts["config.json"]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", KINDS)
def test_a_lambda_layer_runs_for_those_who_trust_it(name, tmp_path):
    model = saved(tmp_path / name, layers.Lambda(lambda x: x * 3, name="thrice"))
    with pytest.raises(InputError, match="Lambda 'thrice' holds code.*--trust_model"):
        load_keras_model(tmp_path / name)
    loaded = load_keras_model(tmp_path / name, trust=True)
    np.testing.assert_allclose(loaded(IMAGES), model(IMAGES), rtol=1e-5)
    config = NetworkConfig(backbone=str(tmp_path / name), trust_model=True)
    features = build_network(config, 4, 3)(127.5 * (IMAGES + 1))[0]
    np.testing.assert_allclose(features, model(IMAGES), rtol=1e-4, atol=1e-5)


def test_affect_trusts_by_its_own_flag(tmp_path):
    path = tmp_path / "a.h5"
    saved(path, layers.Lambda(lambda x: x * 3))
    spec = ModelSpec(scale=(1.0,), columns=(0, 1))
    with pytest.raises(InputError, match="holds code"):
        load_affect_model(path, spec)
    assert load_affect_model(path, spec, trust=True).predict(IMAGES.astype("uint8")).shape == (2, 2)


def test_what_is_not_plainly_keras_is_refused(tmp_path):
    def first(**changes):
        def change(description):
            description["config"]["layers"][1] |= changes
            return description

        return change

    evil = {"class_name": "function", "module": "os", "config": "system", "registered_name": "x"}
    for name, change, text in [
        ("a.keras", first(module="os.path"), "comes from the module os.path"),
        ("a.keras", first(registered_name="Mine>Conv2D"), "is registered as Mine>Conv2D"),
        ("a.keras", first(class_name="Unheard"), "Unheard .* is not one of Keras' own"),
        ("a.keras", first(class_name=["Conv2D"]), r"\['Conv2D'\]"),
        # `compile=False` is for the outermost model alone: of others Keras does read this.
        ("a.keras", first(compile_config={"loss": evil}), "comes from the module os"),
        ("a.keras", first(build_config={"class_name": "__lambda__", "config": {}}), "__lambda__"),
        # Keras would import it, also in its safe mode.
        ("a.keras", lambda d: d | {"module": "planted"}, "comes from the module planted"),
        ("a.h5", first(class_name="Mine>Conv2D"), "Mine>Conv2D .* is not one of Keras' own"),
        ("a.h5", first(class_name="deserialize"), "deserialize .* is not one of Keras' own"),
    ]:
        saved(tmp_path / name)
        rewritten(tmp_path / name, change)
        with pytest.raises(InputError, match=text):
            load_keras_model(tmp_path / name)


def test_the_outermost_compilation_is_left_alone(tmp_path):
    saved(tmp_path / "a.keras")
    rewritten(tmp_path / "a.keras", lambda d: d | {"compile_config": {"class_name": "Mine"}})
    assert load_keras_model(tmp_path / "a.keras")(IMAGES).shape == (2, 2)


def test_weights_by_pickle_are_refused(tmp_path):
    saved(tmp_path / "a.keras")
    np.save(tmp_path / "x.npy", np.array([Planted(tmp_path / "planted")], object))
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("config.json", config)
        with zipfile.ZipFile(tmp_path / "model.weights.npz", "w") as weights:
            weights.write(tmp_path / "x.npy", "x.npy")
        archive.write(tmp_path / "model.weights.npz", "model.weights.npz")
    with pytest.raises(InputError, match="pickle"):
        load_keras_model(tmp_path / "b.keras")
    assert not (tmp_path / "planted").exists()


def test_a_file_that_is_two_is_taken_as_keras_takes_it(tmp_path):
    """An .h5 file with a harmless archive behind it: Keras reads the former."""
    saved(tmp_path / "harmless.keras")
    saved(tmp_path / "a.h5", layers.Lambda(lambda x: x * 3))
    with (tmp_path / "a.h5").open("ab") as file:
        file.write((tmp_path / "harmless.keras").read_bytes())
    assert zipfile.is_zipfile(tmp_path / "a.h5")
    with pytest.raises(InputError, match="Lambda"):
        load_keras_model(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["a.h5", "a.keras"])
def test_damage_is_an_input_error_that_names_the_file(name, tmp_path):
    """Cut off or overwritten; in a .keras, which has checksums, also with flipped bytes."""
    saved(tmp_path / name)
    whole = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    damaged = [whole[:0], np.frombuffer(b"Not a model.\n", np.uint8)]
    damaged += [whole[: int(part * len(whole))] for part in random.uniform(size=10)]
    for _ in range(30 if name == "a.keras" else 0):
        flipped = whole.copy()
        flipped[random.integers(len(whole), size=20)] ^= np.uint8(255)
        damaged.append(flipped)
    refused = 0
    for content in damaged:
        (tmp_path / name).write_bytes(content.tobytes())
        try:
            load_keras_model(tmp_path / name)
        except InputError as error:
            assert name in str(error)
            refused += 1
    assert refused >= len(damaged) - 2  # bytes that nobody reads


# --- SavedModel ----------------------------------------------------------------------------------

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


def test_variables_and_their_saver_are_let_be(tmp_path):
    module = tf.Module()
    module.variable = tf.Variable(1.0)
    write(module, tmp_path / "m", answers(lambda x: module.variable + 1.0))
    assert load_saved_model(tmp_path / "m").signatures


def test_an_unknown_operation_is_refused(tmp_path):
    write(tf.Module(), tmp_path / "m", answers(lambda x: x))
    file = tmp_path / "m" / "saved_model.pb"
    content = SavedModel.FromString(file.read_bytes())
    content.meta_graphs[0].graph_def.library.function[0].node_def.add(name="n", op="MineAlone")
    file.write_bytes(content.SerializeToString())
    with pytest.raises(InputError, match="MineAlone"):
        load_saved_model(tmp_path / "m")


def test_a_damaged_saved_model_is_named(tmp_path):
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


# --- ONNX ----------------------------------------------------------------------------------------

SCORES = ModelSpec(scale=(1 / 255,), columns=(1, 2))


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
        tensor.ClearField("raw_data")
        tensor.data_location = tensor.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return what


@pytest.mark.parametrize("location", ["weights.bin", "../secret", "/etc/hostname", ""])
def test_weights_in_other_files_are_refused(location, onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")
    change(onnx, path, outsourced(location))
    with pytest.raises(InputError, match="m.onnx is refused: it keeps its tensor weights in anot"):
        load_affect_model(path, SCORES)


def test_weights_within_branches_are_seen(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")

    def what(model):
        tensor = onnx.helper.make_tensor("hidden", onnx.TensorProto.FLOAT, [1], [1.0])
        tensor.external_data.add(key="location", value="../secret")
        branch = onnx.helper.make_graph([], "branch", [], [], [tensor])
        model.graph.node.append(onnx.helper.make_node("If", ["c"], ["d"], then_branch=branch))

    change(onnx, path, what)
    with pytest.raises(InputError, match="keeps its tensor hidden in another file"):
        read_onnx(path)


def test_operators_of_other_libraries_are_refused(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")

    def what(model):
        model.graph.node[1].domain = "my.library"

    change(onnx, path, what)
    with pytest.raises(InputError, match="Flatten of my.library"):
        load_affect_model(path, SCORES)


def test_a_damaged_onnx_file_is_named(onnx, tmp_path):
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
            load_affect_model(path, SCORES)
        except InputError as error:
            assert "m.onnx" in str(error)
            refused += 1
    assert refused > len(contents) / 2
