"""CONTRIBUTING.md, "How we write", read off the source: imports, flags, names, sizes, commands."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Bottom to top: a module imports only modules before it. A new module gets its place here.
ORDER = [
    *(
        "ldl_fer",
        "errors",
        "extras",
        "files",
        "told_paths",
        "checksums",
        "settings",
        "setting_checks",
        "config",
        "presets",
        "config_flags",
        "command_line",
        "plots",
        "face_plots",
        "neighbor_plot",
        "metrics",
        "addons",
    ),
    *("pixels", "annotation_checks", "annotation_error", "annotation_csv"),
    *("annotations", "held_out", "neighbors"),
    *("datasets.emotion_words", "datasets.source_files", "datasets.data_set", "datasets.reader"),
    *("datasets.vote_rules", "datasets.raf_db", "datasets.affectnet", "datasets.class_folders"),
    *("datasets.sfew", "datasets.ck_plus", "datasets.fer2013", "datasets.ferplus"),
    *("datasets", "datasets.count_table", "datasets.__main__"),
    *("affect.agreement", "affect.partial_annotations", "affect.model_spec"),
    *("label_list", "noise_draws", "vote_noise", "noise_kinds", "noise_sources"),
    *("noisy_labels", "noise"),
    *("face_pen", "face_drawing", "face_latents", "drawn_faces"),
    *("equations", "networks", "networks.model_files", "networks.saved_model"),
    *("networks.precision", "networks.channels_last", "networks.keras_backbone"),
    *("networks.mobilefacenet", "networks.mobilefacenet_onnx", "networks.pooled_maps"),
    *("networks.resnet", "networks.small_cnn", "networks.head", "networks.network"),
    *("images", "examples", "shards", "manifest"),
    *("record_folder", "record_writer", "records"),
    *("faces.detector", "faces.alignment", "faces.picture", "faces.journal"),
    *("faces.face_table", "faces.data_set"),
    *("faces", "faces.__main__"),
    *("pictures", "affect.filling", "affect.command_flags"),
    *("prepared_records", "pooled_maps_cache", "pooled_records"),
    *("bad_images", "splits", "augmentation", "batches", "pipeline"),
    *(
        "replicas",
        "bank",
        "layers",
        "micro_batches",
        "confusion",
        "classifier",
        "neighbor_pass",
        "center_rows",
        "target_construction",
        "model",
        "optimizers",
    ),
    *("comparators.comparator", "comparators.cross_entropy", "comparators.label_smoothing"),
    *("comparators.scn", "comparators.rul", "comparators.eac", "comparators.ldl_alsg"),
    "comparators",
    *("construction", "samples_csv", "environment", "runs", "devices", "compiled_model"),
    *("stop_signals", "checkpoints", "training_state", "safeguards", "callbacks"),
    *("training_checks", "fitting", "training", "evaluation_result", "evaluation"),
    *("temperature_scaling", "temperature", "trained_model"),
    *("affect.model_files", "affect.model_interface", "affect.foreign_model"),
    *("affect.filled_csv", "affect.concordance"),
    *("affect.saved_regressor", "affect.regression_sets", "affect.regressor"),
    *("affect.prototypes", "affect"),
    "affect.__main__",
    *(
        "face_prediction",
        "footage",
        "seen_pictures",
        "answer_queue",
        "predictor",
        "prediction_drawing",
        "prediction_files",
        "source_predictions",
    ),
    "predict",
    *("export", "export.check", "export.export_format", "export.quantizable", "export.model_card"),
    *("export.onnx_file", "export.representative", "export.saved_model", "export.tflite"),
    *("export.run_export", "export.__main__"),
    *("audit", "audit.training_set", "audit.suspicion", "audit.thumbnails", "audit.page"),
    "audit.__main__",
    *("doctor.finding", "doctor.split", "doctor.signature", "doctor.pictures"),
    *("doctor.duplicates", "doctor.class_counts", "doctor.label_order", "doctor.plane"),
    *("doctor.picture_checks", "doctor.report", "doctor.examination", "doctor"),
    "doctor.__main__",
    *("figures.faces", "figures.by_uncertainty", "figures.constructed", "figures.predictions"),
    *("figures.run_figures", "figures", "figures.__main__"),
    *(
        "benchmark",
        "benchmark.memory",
        "benchmark.memory_watch",
        "benchmark.turns",
        "benchmark.rows",
    ),
    "benchmark.made_up_set",
    *("benchmark.steps", "benchmark.head_steps", "benchmark.input_rate"),
    *("benchmark.inference", "benchmark.size"),
    *("benchmark.report", "benchmark.sections", "benchmark.__main__", "benchmark.soak"),
    "demo",
    *("experiments.experiment", "experiments.noise", "experiments.ablation"),
    *("experiments.neighbors", "experiments.inconsistent", "experiments.original"),
    *("experiments.votes", "experiments.uncertainty", "experiments", "experiments.data"),
    *(
        "experiments.measures",
        "experiments.cross_validation",
        "experiments.planned",
        "experiments.runner",
    ),
    *("experiments.summary", "experiments.__main__"),
]
WITHOUT_TENSORFLOW = [
    *(
        "annotations",
        "neighbors",
        "label_list",
        "noise_draws",
        "noise_kinds",
        "noisy_labels",
        "noise",
        "datasets.__main__",
    ),
    *("files", "plots", "errors", "config_flags"),
]
LONGEST = 400  # lines of a module
TABLES = {"equations", "settings"}  # the paper's and that of all flags, each in one piece
TENSORFLOW = {"tensorflow", "tensorflow_addons", "keras", "tf_keras"}


def module_name(path):
    """ldl_fer/a.py: a; ldl_fer/b/__init__.py: b; ldl_fer/__init__.py: ldl_fer."""
    parts = path.relative_to(ROOT / "ldl_fer").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "ldl_fer"


PATHS = {module_name(path): path for path in sorted((ROOT / "ldl_fer").rglob("*.py"))}
COMMANDS = {name: ROOT / f"{name}.py" for name in ("train", "evaluate")}


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"), path.name)


def nodes(tree, with_main=True):
    """All nodes, or those outside the module's function `main`."""
    for top in tree.body:
        if with_main or not (isinstance(top, ast.FunctionDef) and top.name == "main"):
            yield from ast.walk(top)


def imported(tree, with_main=True):
    """(line, full name) of every import; `from a import b` counts as a.b."""
    for node in nodes(tree, with_main):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def own_imports(tree, with_main=True):
    """(line, module of ORDER) of every import from ldl_fer."""
    for line, name in imported(tree, with_main):
        assert not name.startswith("."), f"line {line}: name the package in imports"
        if name.split(".")[0] == "ldl_fer":
            while name != "ldl_fer" and name.removeprefix("ldl_fer.") not in PATHS:
                name = name.rpartition(".")[0]  # the last part is a function or a class
            yield line, name.removeprefix("ldl_fer.")


def upward(name, tree):
    """(line, module) of the imports of module `name` that are not below it."""
    below = set(ORDER[: ORDER.index(name)])
    found = own_imports(tree, with_main=False)
    return sorted((line, module) for line, module in found if module not in below)


def flag_reads(tree):
    """Lines outside `main` where FLAGS is named."""
    return sorted(
        node.lineno
        for node in nodes(tree, with_main=False)
        if (isinstance(node, ast.Attribute) and node.attr == "FLAGS")
        or (isinstance(node, ast.Name) and node.id == "FLAGS")
        or (isinstance(node, ast.alias) and node.name == "FLAGS")
    )


def reach(name):
    """The module and all of ldl_fer that it imports by any way."""
    reached, waiting = {name}, [name]
    while waiting:
        new = {module for _, module in own_imports(parsed(PATHS[waiting.pop()]))} - reached
        reached |= new
        waiting += new
    return reached


def imports_tensorflow(tree):
    return any(full.split(".")[0] in TENSORFLOW for _, full in imported(tree))


def test_every_module_has_one_place_in_the_order():
    assert sorted(ORDER) == sorted(PATHS)


@pytest.mark.parametrize("name", PATHS)
def test_imports_point_down(name):
    assert upward(name, parsed(PATHS[name])) == []


def test_equations_stand_alone():
    assert list(own_imports(parsed(PATHS["equations"]))) == []


def test_tensorflow_addons_is_imported_in_one_module():
    found = {
        name
        for name, path in {**PATHS, **COMMANDS}.items()
        for _, full in imported(parsed(path))
        if full.split(".")[0] == "tensorflow_addons"
    }
    assert found == {"addons"}


@pytest.mark.parametrize("name", sorted({*PATHS, *COMMANDS} - {"config_flags", "command_line"}))
def test_flags_are_read_in_main_only(name):
    assert flag_reads(parsed({**PATHS, **COMMANDS}[name])) == []


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_no_tensorflow_by_any_way(name):
    assert [module for module in reach(name) if imports_tensorflow(parsed(PATHS[module]))] == []


@pytest.mark.parametrize("name", sorted(PATHS.keys() - TABLES))
def test_modules_are_short(name):
    lines = len(PATHS[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"ldl_fer/{name}: cut it where it is two nouns"


def test_no_module_is_a_drawer_for_odds_and_ends():
    words = {part for name in PATHS for part in name.split(".")}
    assert not words & {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_thin(name):
    assert len(COMMANDS[name].read_text(encoding="utf-8").splitlines()) < 60


def test_these_tests_see_what_they_forbid():
    """A planted module with one fault of each kind, and the same faults where they are allowed."""
    tree = ast.parse(
        "from ldl_fer import demo, __version__\n"  # line 1
        "from ldl_fer.errors import InputError\n"
        "class A:\n"
        "    def main(self):\n"  # no command: a method
        "        import ldl_fer.training\n"  # line 5
        "        return flags.FLAGS.x\n"
        "def f():\n"
        "    from ldl_fer.networks.resnet import resnet18\n"  # line 8
        "    return flags.FLAGS['x'].value\n"
        "def main():\n"
        "    from ldl_fer.evaluation import evaluate_run\n"
        "    return flags.FLAGS.x\n"
    )
    assert upward("settings", tree) == [(1, "demo"), (5, "training"), (8, "networks.resnet")]
    assert flag_reads(tree) == [6, 9]
    assert (11, "evaluation") in own_imports(tree)
    assert not imports_tensorflow(tree)
    assert imports_tensorflow(ast.parse("def f():\n    from tensorflow.io import gfile"))
    assert {"annotations", "annotation_checks", "errors"} < reach("neighbors")
    assert any(imports_tensorflow(parsed(PATHS[module])) for module in reach("splits"))
    with pytest.raises(AssertionError, match="name the package"):
        list(own_imports(ast.parse("from . import errors")))
