"""Weights as safetensors: the network is rebuilt with equal answers; the card is Hugging Face's."""

import json
import shutil

import numpy as np
import pytest
from helpers.built_networks import pixels_of, randomize

from ldl_fer import Config, Predictor, Run
from ldl_fer.errors import InputError
from ldl_fer.evaluation.safetensors_model import load_safetensors
from ldl_fer.evaluation.trained_model import load_model
from ldl_fer.inference.export import export_formats
from ldl_fer.inference.export.formats import Trained, write_export
from ldl_fer.inference.export.run_export import Exported, Exports
from ldl_fer.inference.export.safetensors_file import SAFETENSORS
from ldl_fer.methods import network_of_method
from ldl_fer.networks.torch_files import read_tensors, write_safetensors

NAMES = ("Calm", "Glad", "Überrascht")
SIZE = 32
BEST = {"epoch": 2, "validation_accuracy": 0.5}


def config_of(preset="small", **settings):
    return Config.preset(preset, image_size=SIZE, class_names=NAMES, **settings)


def trained_of(config):
    network = randomize(network_of_method(config, load=False))
    return Trained(network, config.data.class_names, SIZE, {"temperature": 1.5}, config=config)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Of a run that was evaluated, on a set below somebody's home folder."""
    run = Run(tmp_path_factory.mktemp("made") / "run")
    config = config_of()
    run.begin(config)
    run.save_weights(trained_of(config).network, "best", BEST)
    result = {"data_path": "/home/ann/test.csv", "count": 6, "per_class": {}}
    result["best"] = run.epoch("best")
    result["metrics"] = {"accuracy": 0.75, "macro_f1": 0.5}
    (run.folder / "result.json").write_text(json.dumps(result))
    (made,) = export_formats(run, "safetensors", data_license="Drawn faces, CC0")
    return made


@pytest.mark.parametrize(
    "config",
    [
        config_of(),
        config_of(method="scn"),  # a network with a layer of its own
        pytest.param(
            config_of("frozen", pretrained="/home/ann/face.onnx", head_units=8),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["small", "scn", "frozen"],
)
def test_the_network_is_rebuilt_with_equal_answers(config, tmp_path):
    trained = trained_of(config)
    images = pixels_of(SIZE) * np.linspace(0, 1, 4, dtype=np.float32)[:, None, None, None]
    write_export(SAFETENSORS, trained, tmp_path / "x")
    rebuilt, settings = load_safetensors(tmp_path / "x")
    for found, expected in zip(rebuilt(images), trained.network(images), strict=True):
        assert np.ptp(expected, axis=0).max() > 1e-4  # the pictures are distinguished
        np.testing.assert_array_equal(found, expected)
    assert settings.data.class_names == NAMES and settings.method == config.method
    text = (tmp_path / "x" / "config.json").read_text("utf-8")
    assert json.loads(text)["id2label"] == {"0": "Calm", "1": "Glad", "2": "Überrascht"}
    assert "/home" not in text
    assert load_model(tmp_path / "x").temperature == 1.5


def test_a_predictor_takes_the_folder(exported):
    assert exported.checks["random images"].largest == 0.0
    image = np.random.default_rng(0).integers(0, 256, [SIZE, SIZE, 3], np.uint8)
    run = exported.folder.parent
    found, expected = (Predictor(one, faces="whole")(image)[0] for one in (exported.folder, run))
    assert found.distribution == pytest.approx(expected.distribution, abs=1e-6)
    assert tuple(found.distribution) == NAMES
    (note,) = Predictor(exported.folder, faces="whole").notes
    assert "on the run it was exported from" in note


def test_exports_have_a_table(exported):
    table = Exports([exported, Exported(SAFETENSORS, exported.folder, failure="why not")]).table
    assert table["format"].tolist() == ["safetensors"] * 2
    assert table["failure"].tolist() == ["", "why not"]
    first = table.loc[0, ["images", "largest_difference", "same_class"]].tolist()
    assert first == [3, 0.0, 1.0] and np.isnan(table.loc[1, "images"])
    weights = (exported.folder / "model.safetensors").stat().st_size
    assert weights < 1e6 * table.loc[0, "megabytes"] < weights + 5000  # config.json


def test_the_package_safetensors_reads_the_same(exported):
    reader = pytest.importorskip("safetensors", reason="needs the development package safetensors")
    found = {}
    with reader.safe_open(exported.folder / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "tf"}
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    network, _ = load_safetensors(exported.folder)
    assert list(found) and found["logits/kernel"].shape == (160, 3)
    for variable in network.weights:
        np.testing.assert_array_equal(found[variable.name.removesuffix(":0")], variable)
    assert len(found) == len(network.weights)


def test_arrays_of_several_types_come_back(tmp_path):
    arrays = {
        "bytes": np.arange(3, dtype=np.uint8),
        "wide": np.linspace(0, 1, 6).reshape(2, 3),
        "scalar": np.array(7, np.int64),
        "none": np.zeros([0, 4], np.float32),
    }
    write_safetensors(tmp_path / "a.safetensors", arrays)
    found = read_tensors(tmp_path / "a.safetensors")
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_the_card_is_in_the_form_of_the_hub(exported):
    hub = pytest.importorskip("huggingface_hub", reason="needs the development package")
    assert not (exported.folder / "MODEL_CARD.md").exists()
    card = hub.ModelCard.load(exported.folder / "README.md")
    assert card.data.license == "other" and card.data.license_name == "drawn-faces-cc0"
    assert card.data.library_name == "ldl_fer"
    assert card.data.pipeline_tag == "image-classification"
    assert {"facial-expression-recognition", "ldlva"} <= set(card.data.tags)
    assert card.data.metrics == ["accuracy", "f1"]
    measured = {one.metric_type: one.metric_value for one in card.data.eval_results}
    assert measured == {"accuracy": 0.75, "f1": 0.5}
    assert {one.dataset_name for one in card.data.eval_results} == {"test.csv"}
    assert card.text.startswith("\n# Facial expression network") and "## Limits" in card.text
    assert "- license of the data: Drawn faces, CC0" in card.text
    assert "/home/ann" not in card.content


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda held: held["settings"]["network"].update(backbone="resnet18"), "is missing, and"),
        (lambda held: held["settings"]["data"].update(class_names=["A", "B"]), r"shape \[160, 3\]"),
        (lambda held: held["settings"]["network"].update(backbone="my.keras"), "which is none of"),
        (lambda held: held.pop("settings"), "was not written by ldl-fer export"),
        (lambda held: held["settings"]["network"].update(depth=3), "no setting 'depth'"),
    ],
)
def test_settings_of_another_network_are_refused(exported, tmp_path, damage, said):
    held = json.loads((exported.folder / "config.json").read_text("utf-8"))
    damage(held)
    (tmp_path / "config.json").write_text(json.dumps(held))
    (tmp_path / "model.safetensors").hardlink_to(exported.folder / "model.safetensors")
    with pytest.raises(InputError, match=said):
        load_model(tmp_path)


def test_changed_and_further_weights_are_refused(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "copy")
    tensors = read_tensors(folder / "model.safetensors")
    write_safetensors(folder / "model.safetensors", tensors | {"more": np.zeros(1)})
    with pytest.raises(InputError, match="model.safetensors is not what was written"):
        load_model(folder)
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match="the network has no more"):
        load_model(folder)


def test_a_network_of_no_settings_is_refused(tmp_path):
    trained = trained_of(config_of())
    own = config_of().replace(backbone="mine.keras")
    for config in (None, own):
        other = Trained(trained.network, NAMES, SIZE, config=config)
        with pytest.raises(InputError, match="Export this one as --format=saved_model"):
            write_export(SAFETENSORS, other, tmp_path / "x")
    assert not (tmp_path / "x").exists()
