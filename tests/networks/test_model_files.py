"""Keras files from elsewhere: what holds code is refused unless trusted, what is damaged always."""

import base64
import json
import marshal
import os
import platform
import shutil
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config.settings import NetworkConfig
from ldl_fer.errors import InputError
from ldl_fer.networks.model_files import hdf5_trial, load_keras_model
from ldl_fer.networks.network import build_network
from ldl_fer.preparation.affect.model import load_affect_model
from ldl_fer.preparation.affect.model_spec import ModelSpec

layers = tf.keras.layers
IMAGES = np.random.default_rng(0).uniform(size=[2, 4, 4, 3]).astype("float32")
KINDS = ("a.h5", "a.keras", "folder")
# lambda x: tf.reduce_mean(x, [1, 2]), marshalled by that Python.
COMPILED = {
    "3.11": (
        "4wEAAAAAAAAAAAAAAAUAAAADAAAA8zwAAACXAHQAAAAAAAAAAAAAAKABAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAB8AGQBZAJnAqYCAACrAgAAAAAAAAAAUwApA07pAQAAAOkCAAAAKQLaAnRm2gtyZWR1Y2VfbWVhbqkB"
        "2gF4cwEAAAAg+gc8c3RkaW4++gg8bGFtYmRhPnIJAAAAAwAAAHMYAAAAgACtYq9uqm64UcABwCG4ddEu"
        "RdQuRYAA8wAAAAA="
    ),
    "3.12": (
        "4wEAAAAAAAAAAAAAAAUAAAADAAAA8zIAAACXAHQAAAAAAAAAAABqAwAAAAAAAAAAAAAAAAAAAAAAAHwA"
        "ZAFkAmcCqwIAAAAAAABTACkDTukBAAAA6QIAAAApAtoCdGbaC3JlZHVjZV9tZWFuqQHaAXhzAQAAACD6"
        "BzxzdGRpbj76CDxsYW1iZGE+cgkAAAADAAAAcxUAAACAAKxir26pbrhRwAHAIbh10y5FgADzAAAAAA=="
    ),
    "3.13": (
        "4wEAAAAAAAAAAAAAAAUAAAADAAAA8zIAAACVAFsAAAAAAAAAAABSAwAAAAAAAAAAAAAAAAAAAAAAAFUA"
        "UwFTAi8CNQIAAAAAAAAkACkDTukBAAAA6QIAAAApAtoCdGbaC3JlZHVjZV9tZWFuqQHaAXhzAQAAACDa"
        "BzxzdGRpbj7aCDxsYW1iZGE+cgkAAAADAAAAcxMAAACAAKxir26pbrhRwAHAIbh11C5F8wAAAAA="
    ),
}


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


@pytest.mark.parametrize("name", ["a.h5", "a.keras"])
@pytest.mark.parametrize("code", ["YQ==", "not base 64", base64.b64encode(b"\xe3\0\0").decode()])
def test_code_of_another_python_is_told_in_words(name, code, tmp_path):
    saved(tmp_path / name, layers.Lambda(lambda x: x * 3))
    made = base64.b64encode(marshal.dumps((lambda x: x * 3).__code__)).decode()

    def change(description):
        found = json.dumps(description)
        start = found.index(made[:40])
        end = found.index('"', start)
        return json.loads(found[:start] + code + found[end:])

    rewritten(tmp_path / name, change)
    with pytest.raises(InputError, match="compiled by another Python"):
        load_keras_model(tmp_path / name, trust=True)


@pytest.mark.parametrize("version", COMPILED)
def test_code_runs_with_the_python_that_compiled_it_alone(version):
    assert run_here([COMPILED[version]]) == platform.python_version().startswith(version + ".")


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


class Planted:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


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


def test_weights_in_other_files_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(64))
    inside = "model_weights/conv2d/x"

    def link(file):
        file[inside] = h5py.ExternalLink("secret.h5", "/x")

    def soft(file):
        file[inside] = h5py.SoftLink("/elsewhere")

    def external(file):
        file.create_dataset(inside, (8,), "f8", external=[(str(tmp_path / "secret"), 0, 64)])

    def virtual(file):
        layout = h5py.VirtualLayout((8,), "f8")
        layout[:] = h5py.VirtualSource("secret.h5", "x", (8,))
        file.create_virtual_dataset(inside, layout)

    for plant, text in [
        (link, "link out of its place"),
        (soft, "link out of its place"),
        (external, "in another file"),
        (virtual, "in another file"),
    ]:
        saved(tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5", "a") as file:
            plant(file)
        with pytest.raises(InputError, match=text):
            load_keras_model(tmp_path / "a.h5", trust=True)


def test_bombs_are_refused_before_they_go_off(tmp_path):
    saved(tmp_path / "a.keras")
    shutil.copy(tmp_path / "a.keras", tmp_path / "b.keras")
    with zipfile.ZipFile(tmp_path / "b.keras", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/x", bytes(60 * 2**20))
    saved(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "a") as file:
        file.create_dataset("x", (2**40,), "f4", chunks=True, compression="gzip")
    for name in ("b.keras", "c.h5"):
        with pytest.raises(InputError, match=f"{name} is refused: its .* bytes unpack to"):
            load_keras_model(tmp_path / name)


@pytest.mark.parametrize("name", ["a.h5", "a.keras"])
def test_damage_is_an_input_error_that_names_the_file(name, tmp_path, monkeypatch):
    """Cut off, overwritten, or with flipped bytes: refused in words, or not noticed by anybody."""
    monkeypatch.setattr(hdf5_trial, "_SECONDS", 5)
    saved(tmp_path / name)
    whole = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    damaged = [whole[:0], np.frombuffer(b"Not a model.\n", np.uint8)]
    damaged += [whole[: int(part * len(whole))] for part in random.uniform(size=10)]
    for _ in range(30):
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
    assert refused >= 12  # all that are cut off or overwritten
