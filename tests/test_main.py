"""`ldl-fer`: all commands in one list, the nearest of a mistyped one, --help without TensorFlow."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import ROOT, commands
from helpers.made_up_annotations import made_up_annotations
from helpers.source import PROJECT

from ldl_fer import __version__
from ldl_fer.__main__ import COMMANDS, GROUPS
from ldl_fer.experiments.tables import EXPERIMENTS
from ldl_fer.preparation.affect.command import COMMANDS as AFFECT
from ldl_fer.preparation.datasets import NAMES as DATA_SETS

SUBCOMMANDS = {"affect": AFFECT, "datasets": DATA_SETS, "experiments": tuple(EXPERIMENTS)}
# Packages that take long to import, which --help does without.
HEAVY = {
    *("tensorflow", "tensorflow_addons", "keras", "tf_keras", "pandas", "sklearn", "scipy"),
    *("cv2", "matplotlib", "PIL"),
}
STARTED = """
import sys
sys.argv[0] = "ldl-fer"
from ldl_fer.__main__ import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def started(*words):
    """(exit code, standard output, modules that were imported) of ldl-fer."""
    command = [sys.executable, "-c", STARTED, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, set(done.stderr.split("\n")[-2].split())


def ended(*words):
    command = [sys.executable, "-m", "ldl_fer", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_all_commands_are_listed_by_what_a_user_wants_to_do(words):
    code, out, modules = started(*words)
    assert code == 0
    parts = [part.splitlines() for part in out.split("\n\n")[2:]]
    shown = {title: [line.split()[0] for line in lines] for title, *lines in parts}
    assert shown == {title: list(group) for title, group in GROUPS.items()}
    lines = [line for _, *lines in parts for line in lines]
    assert all(re.fullmatch(r"  \w+ +[A-Z].*\.", line) and len(line) <= 100 for line in lines)
    assert not modules & {*HEAVY, "numpy", "absl"}


@pytest.mark.parametrize(
    "words",
    [[name, *sub] for name in COMMANDS for sub in [[], *zip(SUBCOMMANDS.get(name, ()))]],
    ids=" ".join,
)
def test_help_loads_neither_tensorflow_nor_other_large_packages(words):
    code, out, modules = started(*words, "--help")
    assert code == 0 and "ldl_fer" in modules
    assert "flags:" in out or re.search(r"^  --\w+", out, re.M) or words == ["affect"]
    assert not modules & HEAVY


def test_every_command_is_there():
    for name, file in commands().items():
        assert file.exists(), name
    for module in COMMANDS.values():
        assert callable(importlib.import_module(module).run)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["trian"], "there is no command 'trian'; did you mean train? See ldl-fer --help."),
        (["evalute", "--help"], "there is no command 'evalute'; did you mean evaluate? "),
        (["drawn-faces"], "there is no command 'drawn-faces'; did you mean drawn_faces? "),
        (["quux"], "there is no command 'quux'. See ldl-fer --help."),
        (["--seed=1", "train"], "a command comes before its flags, as --seed=1. See ldl-fer "),
    ],
)
def test_a_mistyped_command_is_named(words, error):
    code, out, said = ended(*words)
    assert (code, out) == (2, "") and said.startswith(f"error: {error}")


def test_version():
    assert ended("--version") == (0, f"ldl-fer {__version__}\n", "")


def test_the_script_that_is_installed_is_this_one():
    module, _, function = PROJECT["scripts"]["ldl-fer"].partition(":")
    assert getattr(importlib.import_module(module), function).__module__ == "ldl_fer.__main__"
    assert not (ROOT / "pyproject.toml").read_text("utf-8").count("py-modules")


def test_a_reader_that_goes_away_leaves_no_traceback():
    process = subprocess.Popen(
        [sys.executable, "-m", "ldl_fer"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("", 1)


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_the_released_codes_scripts_are_the_same_commands(script):
    def shown(*command):
        return subprocess.run([sys.executable, *command, "--help"], capture_output=True, check=True)

    assert shown(ROOT / script).stdout == shown("-m", "ldl_fer", Path(script).stem).stdout


# --- mistakes are named before TensorFlow is loaded

RUN = ("--train_data_path={0}/in.csv", "--train_image_dir={0}")
EXPERIMENT = (*RUN, "--runs_dir={0}/runs")
TEST = ("--test_data_path={0}/no.csv", "--test_image_dir={0}")
RECORDS = ("--annotations={0}/in.csv",)
MISTAKES = [
    (("train", "--epochz=1"), "Unknown command line flag 'epochz'. Did you mean: epochs ?"),
    (("train", "--epochs=x"), "flag --epochs=x"),
    (("train", "x"), "unexpected argument 'x'"),
    (("train", "--epochs=-1"), "epochs must be above 0"),
    (("train",), "no training data: give --train_data_path"),
    (("train", "--train_data_path={0}/no.csv"), "no.csv: 1 problem\n  cannot be read: No such"),
    (("train", *RUN, "--val_data_path={0}/no"), "no: not a folder of records"),
    (("train", *RUN, "--select_on_test"), "--select_on_test needs the test set"),
    (("train", "--train_data_path={0}"), "from which no validation set can be split"),
    (("train", *RUN, "--pretrained={0}/no.onnx"), "no.onnx does not exist."),
    (("train", *RUN, "--run_dir={0}/run"), "run already holds a run. Add --resume"),
    (
        ("train", *RUN, "--preset=frozen"),
        "--frozen, which --preset=frozen sets, needs --pretrained",
    ),
    (
        ("train", "--train_data_path={0}/in.csv", "--train_image_dir={0}/no"),
        "no of {0}/in.csv does",
    ),
    (("evaluate",), "give --test_data_path"),
    (("evaluate", "--run_dir={0}/no", *TEST), "no holds no run: config.json is missing"),
    (("evaluate", "--run_dir={0}/run", *TEST), "no.csv: 1 problem\n  cannot be read: No such"),
    (
        ("evaluate", "--run_dir={0}/run", "--test_data_path={0}/in.csv", "--test_image_dir={0}/no"),
        "the image folder {0}/no of",
    ),
    (("temperature", "--run_dir={0}/no"), "no holds no run"),
    (("temperature", "--run_dir={0}/begun"), "best.weights.h5 is missing: the run has not"),
    (("export", "--run_dir={0}/no"), "no holds no run"),
    (("export", "--run_dir={0}/run", "--format=tif"), "--format=tif is none of"),
    (("export", "--run_dir={0}/run", "--representative={0}/no"), "no does not exist"),
    (("audit", "{0}/no"), "no holds no run"),
    (("audit", "{0}/run"), "samples.csv is missing: the run is not finished"),
    (("figures", "--run_dir={0}/no"), "no holds no run"),
    (("figures", "--run_dir={0}/run", *TEST), "samples.csv is missing: the run is not finished"),
    (("predict", "{0}/run"), "say a model and at least one picture"),
    (("predict", "{0}/run", "{0}/no.jpg"), "there is no file or folder"),
    (("predict", "{0}/no", "{0}/in.csv", "--faces=whole"), "no is no model: give a run folder"),
    (("predict", "{0}/begun", "{0}/in.csv", "--faces=whole"), "best.weights.h5 is missing"),
    (("predict", "{0}/run", "{0}/in.csv", "--affect={0}/no"), "no does not exist."),
    (("affect",), "say one of predict, train, prototypes, evaluate first"),
    (("affect", "predict"), "--annotations is missing: Annotation CSV to read."),
    (("affect", "train"), "no training data: give --train_data_path"),
    (("affect", "train", "--train_data_path={0}/no.csv"), "no.csv: 1 problem\n  cannot be read"),
    (("records", "--annotations={0}/no.csv", "--image_dir={0}", "--output_dir={0}/o"), "no.csv: 1"),
    (("records", *RECORDS, "--image_dir={0}/no", "--output_dir={0}/o"), "the image folder {0}/no"),
    (
        ("records", *RECORDS, "--image_dir={0}", "--output_dir={0}/run"),
        "is not a folder of records",
    ),
    (
        ("landmarks", *RECORDS, "--image_dir={0}", "--model={0}/no.tflite"),
        "no.tflite does not exist",
    ),
    (("experiments", "nois", *TEST), "name one experiment: noise, "),
    (
        ("experiments", "noise", *EXPERIMENT, *TEST, "--train_data_path={0}/0.csv"),
        "0.csv cannot be",
    ),
    (("experiments", "noise", *EXPERIMENT, *TEST, "--only=x"), "--only: noise has no x; it has"),
    (("experiments", "noise", *EXPERIMENT, *TEST), "no.csv: 1 problem\n  cannot be read: No such"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A CSV, a run that has weights and is not finished, and one that has only begun."""
    from ldl_fer.config import Config

    folder = tmp_path_factory.mktemp("mistakes")
    made_up_annotations(40).write(folder / "in.csv")
    for name in ("run", "begun"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(Config().to_json())
    (folder / "run/best.weights.h5").touch()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("words", "error"), MISTAKES, ids=lambda x: str(x)[:60])
def test_a_mistake_is_named_before_tensorflow_is_loaded(folder, words, error):
    words, error = [word.format(folder) for word in words], error.format(folder)
    done = subprocess.run([sys.executable, "-c", STARTED, *words], capture_output=True, text=True)
    *said, modules = done.stderr.splitlines()
    assert done.returncode == 2 and error in "\n".join(said), said
    assert "tensorflow" not in modules.split()
