"""The source of ldl_fer as trees, for the tests that hold it to rules."""

import ast
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGE = ROOT / "ldl_fer"
PATHS = {path.relative_to(ROOT).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
COMMANDS = {f"{name}.py": ROOT / f"{name}.py" for name in ("train", "evaluate")}


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"), path.name)


def imported(tree, at_import=False):
    """Yields (line, full name) of every import; `from a import b` counts as a.b.

    With `at_import` those inside of functions are left out, which run later, and those for type
    checkers.
    """
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        if at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if at_import and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        waiting += ast.iter_child_nodes(node)
