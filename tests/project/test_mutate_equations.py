"""The mutation script itself: it breaks what a function may hold, and names its limits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "mutate_equations.py"
pytestmark = pytest.mark.slow  # they load TensorFlow in processes of their own
MUTATED = {
    "x[..., 0]": {"x", "x[0, ...]", "x[..., 1]", "x[..., -1]"},
    "k in ('a', 'b')": {"k not in ('a', 'b')", "k in ('a_', 'b')", "k in ('a', 'b_')"},
    "0 < x <= 1": {"0 <= x <= 1", "0 < x < 1", "1 < x <= 1", "0 < x <= 2"},
    "tf.exp(x=x)": {"tf.math.log(x=x)", "x", "tf.exp()"},
    "tf.where(c, x=a, y=b)": {"tf.where(c, b, a)", "a", "c", "tf.where(c, x=a)"},
    "tf.where(c, a, b)": {"tf.where(c, b, a)", "a", "c"},
    "x @ y": {"x * y", "x", "y"},
    "a and b": {"a or b"},
    "tf.equal(a, b)": {"tf.not_equal(a, b)", "a"},
}
UNKNOWN = {
    "tf.tanh(x)": "tf.tanh: give it a partner in FUNCTIONS",
    "x % 2": "x % 2: give it a partner in OPERATORS",
    "tf.exp(x) + tf.cast(x @ y, x.dtype)": "",
}


LOADED = f"""
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("script", {str(SCRIPT)!r})
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
"""


@pytest.fixture(scope="module")
def answers():
    """Expression -> (its mutants, what is unknown); in a process of its own: it sets variables."""
    code = f"""{LOADED}
source = "def f(x: float | None, y, k, a, b, c) -> int | None:\\n    z = "
answers = {{
    text: [[m.statement for m in script.mutants(source + text)], script.unknown(source + text)]
    for text in json.load(sys.stdin)
}}
print(json.dumps(answers))
"""
    asked = json.dumps([*MUTATED, *UNKNOWN])
    done = subprocess.run([sys.executable, "-c", code], input=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("text", MUTATED)
def test_mutants(answers, text):
    assert {f"z = {change}" for change in MUTATED[text]} <= set(answers[text][0])
    assert f"z = {text}" not in answers[text][0]
    assert answers[text][1] == []


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_has_no_partner_is_named(answers, text):
    assert answers[text][1] == ([f"2: {UNKNOWN[text]}"] if UNKNOWN[text] else [])


def test_what_is_called_equivalent_is_a_mutant_of_today():
    """So that a renamed argument is noticed here, not by the next run of all mutants."""
    code = f"""{LOADED}
source = (script.ROOT / "ldl_fer/equations.py").read_text()
today = {{mutant.key for mutant in script.mutants(source)}}
print(json.dumps([*map(list, script.EQUIVALENT.keys() - today)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_an_unknown_function_is_refused():
    command = [sys.executable, str(SCRIPT), "--only=no_such_function"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "no function no_such_function" in done.stderr
