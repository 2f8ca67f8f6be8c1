"""Nothing in the source unpickles or evaluates what it reads."""

import ast

import numpy as np
import pytest
from helpers.planted import Planted
from helpers.source import COMMANDS, PATHS, parsed

from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.affectnet import affectnet_rows

MODULES = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "torch"}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {"read_pickle", "to_pickle", "unsafe_load", "full_load"}


def faults(tree):
    """Lines that import a pickler, evaluate text, or allow pickles in arrays."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        else:
            names = set()
        if names & MODULES:
            yield node.lineno
        if isinstance(node, ast.Call):
            function = node.func
            named = isinstance(function, ast.Name) and function.id in CALLS
            of_yaml = isinstance(function, ast.Attribute) and (
                function.attr in METHODS or ast.unparse(function) == "yaml.load"
            )
            allowed = any(
                word.arg == "allow_pickle" and ast.unparse(word.value) != "False"
                for word in node.keywords
            )
            if named or of_yaml or allowed:
                yield node.lineno


@pytest.mark.parametrize("name", sorted({*PATHS, *COMMANDS}))
def test_no_module_unpickles_or_evaluates(name):
    assert list(faults(parsed({**PATHS, **COMMANDS}[name]))) == []


def test_this_test_sees_what_it_forbids():
    tree = ast.parse(
        "import pickle, json\n"
        "from joblib import load\n"
        "eval(x)\n"
        "np.load(f, allow_pickle=True)\n"
        "yaml.load(f)\n"
        "pd.read_pickle(f)\n"
        "np.load(f, allow_pickle=False)\n"
        "model.compile(a)\n"
        "yaml.safe_load(f)\n"
    )
    assert sorted(faults(tree)) == [1, 2, 3, 4, 5, 6]


def test_arrays_of_objects_in_a_data_set_are_refused(tmp_path):
    folder = tmp_path / "train_set" / "annotations"
    folder.mkdir(parents=True)
    (tmp_path / "train_set" / "images").mkdir()
    (tmp_path / "train_set" / "images" / "0.jpg").write_bytes(b"")
    for kind in ("exp", "val", "aro"):
        np.save(folder / f"0_{kind}.npy", np.array([Planted(tmp_path / "planted")], object))
    with pytest.raises(InputError, match="0_exp.npy cannot be read"):
        affectnet_rows(tmp_path, ("train",))
    assert not (tmp_path / "planted").exists()
