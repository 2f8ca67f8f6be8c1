"""Commands that are printed for the user to run are quoted for a shell."""

import ast
import re

import pytest
from helpers.source import PATHS, parsed

# A flag or command with a value that is put into a text: it may hold a blank.
_UNQUOTED = re.compile(r"(ldl-fer|tensorboard) [^`'\"]*(=|logdir )$")


def unquoted(tree):
    """Yields the lines of formatted texts in which a value follows a command's flag directly."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for before, value in zip(node.values, node.values[1:], strict=False):
                text = before.value if isinstance(before, ast.Constant) else ""
                if _UNQUOTED.search(str(text)) and "shlex" not in ast.unparse(value):
                    yield node.lineno


@pytest.mark.parametrize("name", PATHS)
def test_printed_commands_are_quoted(name):
    assert list(unquoted(parsed(PATHS[name]))) == []


def test_what_is_not_quoted_is_found():
    assert list(unquoted(ast.parse("f'run ldl-fer train --run_dir={x} --resume'"))) == [1]
    assert list(unquoted(ast.parse("f'curves: tensorboard --logdir {x}'"))) == [1]
    assert list(unquoted(ast.parse("f'run ldl-fer train {shlex.quote(x)} --resume'"))) == []
