"""CONTRIBUTING.md, "How we write", read off the source: places, flags, names, sizes, commands.

Which package may import which is import-linter's contract in pyproject.toml (`make lint`).
"""

import ast
import re
from pathlib import Path

import pytest
from helpers.source import COMMANDS, PACKAGE, PATHS, ROOT, imported, parsed

from ldl_fer.config.methods import METHOD_SETTINGS

# --help of every command, and what no network is needed for, start without TensorFlow.
WITHOUT_TENSORFLOW = [
    *("ldl_fer/__main__.py", "ldl_fer/errors.py", "ldl_fer/files.py", "ldl_fer/plots.py"),
    *("ldl_fer/config/flags.py", "ldl_fer/config/command_line.py"),
    *("ldl_fer/data/annotations.py", "ldl_fer/data/neighbors.py", "ldl_fer/data/paths.py"),
    *("ldl_fer/preparation/noise/label_list.py", "ldl_fer/preparation/noise/kinds.py"),
    *("ldl_fer/preparation/noise/add.py", "ldl_fer/preparation/noise/command.py"),
    "ldl_fer/preparation/datasets/command.py",
]
LONGEST = 400  # lines of a module
METHOD_NAMES = re.compile(rf"^({'|'.join(METHOD_SETTINGS)})$|^LDLVA$")
# Those that compare methods name them: the demo, the paper's tables. The settings declare them.
NAMES_METHODS = ("ldl_fer/methods/", "ldl_fer/experiments/", "ldl_fer/demo.py", "ldl_fer/config/")
IMPORT = re.compile(r"\b(?:from (ldl_fer[.\w]*) import \(?\s*(\w+)|import (ldl_fer[.\w]*))")
TENSORFLOW = {"tensorflow", "tensorflow_addons", "keras", "tf_keras"}


def file_of(name):
    """Returns the file of a dotted name of ours, or of the module that defines it."""
    while name:
        for place in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
            if place in PATHS:
                return place
        name = name.rpartition(".")[0]
    raise AssertionError("no module of ldl_fer")


def reach(place):
    """Returns the module and all of ldl_fer that importing it imports."""
    reached, waiting = set(), [place]
    while waiting:
        place = waiting.pop()
        if place in reached:
            continue
        reached.add(place)
        packages = [parent / "__init__.py" for parent in Path(place).parents[:-1]]
        waiting += [p.as_posix() for p in packages]
        for line, name in imported(parsed(PATHS[place]), at_import=True):
            assert not name.startswith("."), f"{place}, line {line}: name the package in imports"
            if name.split(".")[0] == "ldl_fer":
                waiting.append(file_of(name))
    return reached


def lost_imports(text):
    """Returns the modules of ldl_fer that are imported in a text and are not there."""
    found = []
    for module, name, whole in IMPORT.findall(text):
        place = (module or whole).replace(".", "/")
        package = PATHS.get(f"{place}/__init__.py")
        if not package:
            there = f"{place}.py" in PATHS
        else:
            there = not name or {f"{place}/{name}.py", f"{place}/{name}/__init__.py"} & PATHS.keys()
            there = there or re.search(rf"\b{name}\b", package.read_text(encoding="utf-8"))
        if not there:
            found.append(f"{module}.{name}" if package else module or whole)
    return found


def flag_reads(tree):
    """Returns the lines outside of the functions named main where FLAGS is named."""
    waiting, found = [tree], []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef) and node in tree.body and node.name == "main":
            continue
        if "FLAGS" in (getattr(node, "attr", ""), getattr(node, "id", "")) or (
            isinstance(node, ast.alias) and node.name == "FLAGS"
        ):
            found.append(node.lineno)
        waiting += ast.iter_child_nodes(node)
    return sorted(found)


def named_methods(tree):
    """Returns (line, name) of each string or identifier that is a method's name."""
    for node in ast.walk(tree):
        for kind in ("value", "id", "attr", "name"):
            name = getattr(node, kind, None)
            if isinstance(name, str) and METHOD_NAMES.match(name):
                yield node.lineno, name


def imports_tensorflow(tree):
    return any(name.split(".")[0] in TENSORFLOW for _, name in imported(tree, at_import=True))


def test_the_top_of_the_package_is_small():
    packages = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    modules = [path.name for path in PACKAGE.glob("*.py")]
    assert len(packages) <= 9, packages
    assert len(modules) <= 7, modules


def test_equations_stand_alone():
    tree = parsed(PATHS["ldl_fer/equations.py"])
    assert [name for _, name in imported(tree) if name.startswith("ldl_fer")] == []


@pytest.mark.parametrize("folder", ["ldl_fer", "benchmarks", "tests"])
def test_imported_modules_are_there(folder):
    """Also those in the programs that tests start: an installed copy may have modules of old."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py")}
    texts.pop(Path(__file__), None)
    assert {path: lost for path, text in texts.items() if (lost := lost_imports(text))} == {}


def test_tensorflow_addons_is_imported_in_one_module():
    found = {
        place
        for place, path in {**PATHS, **COMMANDS}.items()
        for _, name in imported(parsed(path))
        if name.split(".")[0] == "tensorflow_addons"
    }
    assert len(found) == 1, found


@pytest.mark.parametrize("place", sorted({**PATHS, **COMMANDS}))
def test_flags_are_read_in_main_only(place):
    if Path(place).name in ("flags.py", "command_line.py", "help.py"):
        return  # what defines, parses and prints them
    assert flag_reads(parsed({**PATHS, **COMMANDS}[place])) == []


@pytest.mark.parametrize("place", sorted(PATHS))
def test_methods_are_named_where_they_live(place):
    if not place.startswith(NAMES_METHODS):
        assert list(named_methods(parsed(PATHS[place]))) == []


@pytest.mark.parametrize("place", WITHOUT_TENSORFLOW)
def test_no_tensorflow_by_any_way(place):
    assert [module for module in reach(place) if imports_tensorflow(parsed(PATHS[module]))] == []


@pytest.mark.parametrize("place", sorted(PATHS))
def test_modules_are_short(place):
    lines = len(PATHS[place].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{place}: cut it where it is two subjects"


def test_no_module_is_a_drawer_for_odds_and_ends():
    words = {part for place in PATHS for part in Path(place).with_suffix("").parts}
    assert not words & {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize("place", COMMANDS)
def test_commands_are_thin(place):
    assert len(COMMANDS[place].read_text(encoding="utf-8").splitlines()) < 60


def test_these_tests_see_what_they_forbid():
    """Plants faults of each kind in a module, and the same faults where they are allowed."""
    tree = ast.parse(
        "from ldl_fer import demo, __version__\n"  # line 1
        "from ldl_fer.errors import InputError\n"
        "class A:\n"
        "    def main(self):\n"  # no command: a method
        "        import ldl_fer.training.train\n"  # line 5
        "        return flags.FLAGS.x\n"
        "def f():\n"
        "    from ldl_fer.networks.resnet import resnet18\n"  # line 8
        "    return flags.FLAGS['x'].value\n"
        "def main():\n"
        "    from ldl_fer.evaluation.evaluate import evaluate_run\n"
        "    return flags.FLAGS.x, config.method == 'scn', LDLVA\n"  # line 12
    )
    assert flag_reads(tree) == [6, 9]
    assert sorted(named_methods(tree)) == [(12, "LDLVA"), (12, "scn")]
    assert (11, "ldl_fer.evaluation.evaluate.evaluate_run") in list(imported(tree))
    assert [line for line, _ in imported(tree, at_import=True)] == [2, 1, 1]
    assert not imports_tensorflow(tree)
    assert imports_tensorflow(ast.parse("if True:\n    from tensorflow.io import gfile"))
    assert not imports_tensorflow(ast.parse("def f():\n    from tensorflow.io import gfile"))
    assert file_of("ldl_fer.errors.InputError") == "ldl_fer/errors.py"
    assert {"ldl_fer/data/annotations.py", "ldl_fer/errors.py"} < reach("ldl_fer/data/neighbors.py")
    assert any(imports_tensorflow(parsed(PATHS[p])) for p in reach("ldl_fer/data/sets.py"))
    there = "from ldl_fer import demo, errors\nfrom ldl_fer.errors import (\n    InputError)\n"
    assert lost_imports(there + "from ldl_fer.preparation import noise\nimport ldl_fer.files") == []
    gone = "from ldl_fer.settings import X; import ldl_fer.runs\nfrom ldl_fer.data import images"
    assert lost_imports(gone) == ["ldl_fer.settings", "ldl_fer.runs", "ldl_fer.data.images"]
    with pytest.raises(AssertionError, match="no module"):
        file_of("numpy")
