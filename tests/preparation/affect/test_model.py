"""ONNX, Keras and SavedModel files are fed and read as their spec says, or refused with a cure."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.affect_models import BIAS, SIZE, WEIGHTS, faces, keras_model, onnx_model

from ldl_fer.errors import InputError
from ldl_fer.files import sha256
from ldl_fer.preparation.affect.model import _valence_arousal_of, load_affect_model, squares
from ldl_fer.preparation.affect.model_spec import ModelSpec, read_spec

SCALED = {"scale": (1 / 255,)}


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime", reason="needs the optional package onnxruntime")
    return pytest.importorskip("onnx", reason="needs the optional package onnx")


def close(model, images, wanted):
    found = model.outputs(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_onnx_by_columns_and_channels(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")
    images, wanted = faces(5)
    close(load_affect_model(path, ModelSpec(columns=(1, 2), **SCALED)), images, wanted)
    close(load_affect_model(path, ModelSpec(columns=(-1, 1), **SCALED)), images, wanted[:, ::-1])
    swapped = images[..., ::-1]
    bgr = ModelSpec(columns=(1, 2), channels="BGR", outputs=("scores",), **SCALED)
    close(load_affect_model(path, bgr), swapped, wanted)


def test_pictures_of_another_size_are_resized(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")
    model = load_affect_model(path, ModelSpec(columns=(1, 2), **SCALED))
    assert model.image_size == SIZE
    images, wanted = faces(2, size=17)  # of one color each: any resizing keeps the means
    close(model, images, wanted)
    assert squares(images, SIZE).shape == (2, SIZE, SIZE, 3)


def test_a_fixed_batch_is_filled_up(onnx, tmp_path):
    for batch in (1, 4):
        path = onnx_model(onnx, tmp_path / f"{batch}.onnx", batch=batch)
        images, wanted = faces(7)
        close(load_affect_model(path, ModelSpec(columns=(1, 2), **SCALED)), images, wanted)


def test_tanh_factor_and_clipping(onnx, tmp_path):
    two = onnx_model(onnx, tmp_path / "m.onnx", weights=WEIGHTS[:, 1:] * 3, bias=BIAS[1:])
    images, wanted = faces(4)
    plain = load_affect_model(two, ModelSpec(**SCALED))  # two columns need no naming
    close(plain, images, 3 * wanted)
    np.testing.assert_allclose(plain.predict(images), np.clip(3 * wanted, -1, 1), atol=1e-6)
    close(load_affect_model(two, ModelSpec(output_scale=0.1, **SCALED)), images, 0.3 * wanted)
    close(load_affect_model(two, ModelSpec(tanh=True, **SCALED)), images, np.tanh(3 * wanted))


def test_a_spec_beside_the_file_is_found(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text('{"scale": "1/255", "columns": [1, 2]}')
    images, wanted = faces(3)
    model = load_affect_model(path)
    close(model, images, wanted)
    assert (
        model.source.startswith("m.onnx sha256:")
        and len(model.source) == len("m.onnx sha256:") + 12
    )


@pytest.mark.parametrize("kind", ["h5", "keras", "saved_model"])
def test_keras_and_saved_models_by_the_names_of_their_outputs(kind, tmp_path):
    path = tmp_path / ("m" if kind == "saved_model" else f"m.{kind}")
    keras_model(tf).save(path)
    images, wanted = faces(5)
    close(load_affect_model(path, ModelSpec(**SCALED)), images, wanted)
    named = ModelSpec(outputs=("arousal", "valence"), **SCALED)
    close(load_affect_model(path, named), images, wanted[:, ::-1])


def test_channels_first_needs_no_naming_where_the_shape_shows_it(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx", size="S")
    with pytest.raises(InputError, match="--image_size"):
        load_affect_model(path, ModelSpec(columns=(1, 2), **SCALED))
    images, wanted = faces(3)
    close(load_affect_model(path, ModelSpec(8, columns=(1, 2), **SCALED)), images, wanted)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (ModelSpec(columns=(1, 2)), "--scale=1 if it takes 0 to 255"),
        (ModelSpec(**SCALED), r"which columns .*scores \(2, 3\)"),
        (ModelSpec(columns=(1, 3), **SCALED), "no column 3"),
        (ModelSpec(outputs=("va",), **SCALED), r"no outputs va.*scores"),
        (ModelSpec(image_size=9, columns=(1, 2), **SCALED), "images of 6 pixels, not 9"),
        (ModelSpec(layout="NHWC", columns=(1, 2), **SCALED), "not NHWC"),
    ],
)
def test_specs_that_do_not_fit(onnx, spec, text, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=text):
        load_affect_model(path, spec).outputs(faces(2)[0])


def test_answers_that_are_no_numbers_are_refused(onnx, tmp_path):
    path = onnx_model(onnx, tmp_path / "m.onnx", bias=np.array([0, np.nan, 0], np.float32))
    with pytest.raises(InputError, match="not finite"):
        load_affect_model(path, ModelSpec(columns=(1, 2), **SCALED)).outputs(faces(2)[0])


def test_a_wrong_layout_of_a_model_of_any_size_is_named(onnx, tmp_path):
    """The file's axes have no sizes: only the runtime finds out."""
    path = onnx_model(onnx, tmp_path / "m.onnx", size="S", channels="C")
    spec = {"image_size": 8, "columns": (1, 2), **SCALED}
    images, wanted = faces(3, size=8)
    close(load_affect_model(path, ModelSpec(layout="NCHW", **spec)), images, wanted)
    words = r"m.onnx cannot take float32 images of shape \(3, 8, 8, 3\), NHWC.*Are --layout"
    with pytest.raises(InputError, match=words):
        load_affect_model(path, ModelSpec(layout="NHWC", **spec)).outputs(images)


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_the_runtimes_complaint_about_images_is_passed_on(kind, tmp_path):
    images = tf.keras.Input([None, None, None])
    means = tf.keras.layers.Reshape([3])(tf.keras.layers.GlobalAveragePooling2D()(images))
    kernel = tf.keras.initializers.Constant(WEIGHTS[:, 1:].tolist())
    scores = tf.keras.layers.Dense(2, kernel_initializer=kernel, use_bias=False)(means)
    path = tmp_path / ("m" if kind == "saved_model" else "m.keras")
    tf.keras.Model(images, scores).save(path)
    spec = {"image_size": 8, **SCALED}
    pictures, wanted = faces(3, size=8)
    close(load_affect_model(path, ModelSpec(layout="NHWC", **spec)), pictures, wanted)
    with pytest.raises(InputError, match=f"{path.name} cannot take float32.*--layout"):
        load_affect_model(path, ModelSpec(layout="NCHW", **spec)).outputs(pictures)


def test_an_output_whose_first_axis_is_not_the_batch_is_refused(tmp_path):
    spec = ModelSpec(columns=(0, 1), **SCALED)
    network = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32)])
    def transposed(images):
        return {"va": tf.transpose(tf.reduce_mean(images, [1, 2])[:, :2])}

    network.transposed = transposed
    tf.saved_model.save(network, str(tmp_path / "m"), {"serving_default": transposed})
    model, (images, _) = load_affect_model(tmp_path / "m", spec), faces(4)
    words = r"m answers va \(2, 4\) of 4 images: the first axis is not that of the images"
    with pytest.raises(InputError, match=words):
        model.outputs(images)
    with pytest.raises(InputError, match=r"va \(2, 3\) of 3"):  # 6 numbers for 3 images: no luck
        model.outputs(images[:3])
    assert model.outputs(images[:1]).shape == (1, 2)


def test_the_hash_of_a_folder_is_that_of_its_graph_and_variables(tmp_path):
    model = keras_model(tf)
    model.save(tmp_path / "m")
    before = sha256(tmp_path / "m")
    (tmp_path / "m" / "remark.txt").write_text("x")
    assert sha256(tmp_path / "m") == before
    data = next((tmp_path / "m" / "variables").glob("*.data*"))
    data.write_bytes(data.read_bytes()[::-1])
    assert sha256(tmp_path / "m") != before


def test_outputs_are_found_by_names_that_contain_the_words():
    found = {"expression": np.zeros([2, 8]), "Valence_Out": np.ones(2), "arousal": np.full(2, 3.0)}
    for spec in (ModelSpec(), read_spec("emonet")):
        values = _valence_arousal_of(found, spec, "m.onnx", 2)
        np.testing.assert_array_equal(values, [[1, 3], [1, 3]])
    found["valence_2"] = np.ones(2)  # which is meant?
    with pytest.raises(InputError, match="called valence and arousal; say --outputs"):
        _valence_arousal_of(found, ModelSpec(), "m.onnx", 2)


def test_other_files_are_refused(tmp_path):
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
        (
            ("config.json", "best.weights.h5", "saved_model/assets.extra/labels.txt"),
            "a run of ldl-fer train",
        ),
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


def test_an_unfinished_regressor_is_not_taken_for_a_classifier(tmp_path):
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
