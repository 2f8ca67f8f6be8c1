"""What cannot or must not be loaded is refused in a sentence that names the file."""

import pytest
import tensorflow as tf
from affect_models import SIZE, keras_model

from ldl_fer.affect.foreign_model import load_affect_model
from ldl_fer.affect.model_spec import ModelSpec
from ldl_fer.checksums import sha256
from ldl_fer.errors import InputError

SCALED = {"scale": (1 / 255,)}


def test_the_hash_of_a_folder_is_that_of_its_graph_and_variables(tmp_path):
    model = keras_model(tf)
    model.save(tmp_path / "m")
    before = sha256(tmp_path / "m")
    (tmp_path / "m" / "remark.txt").write_text("x")
    assert sha256(tmp_path / "m") == before
    data = next((tmp_path / "m" / "variables").glob("*.data*"))
    data.write_bytes(data.read_bytes()[::-1])
    assert sha256(tmp_path / "m") != before


def test_files_that_are_none(tmp_path):
    for name, content in (("a.onnx", b"no"), ("a.h5", b"no"), ("a.txt", b"no")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            load_affect_model(tmp_path / name, ModelSpec(**SCALED))
    with pytest.raises(InputError, match="does not exist"):
        load_affect_model(tmp_path / "b.onnx")


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (("config.json", "best.weights.h5", "best.json"), "a run of ldl-fer train"),
        (("config.json", "best.weights.h5", "saved_model/assets.extra/labels.txt"), "a run of t"),
        (("saved_model.pb", "assets.extra/labels.txt"), "an exported classifier"),
    ],
)
def test_classifiers_of_this_package_are_refused(files, kind, tmp_path):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"epoch": 1, "validation_accuracy": 0.5}')
    (tmp_path / "saved_model").mkdir(exist_ok=True)
    (tmp_path / "saved_model" / "saved_model.pb").write_text("")
    cure = rf"{tmp_path} is {kind}.*affect prototypes --classifier={tmp_path}`"
    with pytest.raises(InputError, match=cure):
        load_affect_model(tmp_path)


def test_what_a_regressor_left_is_not_taken_for_a_classifier(tmp_path):
    for name in ("config.json", "best.weights.h5"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "best.json").write_text('{"epoch": 1, "validation_ccc": 0.5}')
    with pytest.raises(InputError, match="is neither"):  # it stopped before its saved_model
        load_affect_model(tmp_path)


def test_a_keras_file_with_code_is_refused(tmp_path):
    images = tf.keras.Input([SIZE, SIZE, 3])
    output = tf.keras.layers.Lambda(lambda x: tf.reduce_mean(x, [1, 2])[:, :2])(images)
    tf.keras.Model(images, output).save(tmp_path / "m.h5")
    with pytest.raises(InputError, match="Lambda .* holds code"):
        load_affect_model(tmp_path / "m.h5", ModelSpec(**SCALED))
