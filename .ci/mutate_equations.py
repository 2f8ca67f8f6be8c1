"""Breaks ldl_fer/equations.py in every small way and demands that a test turns red each time.

  .venv/bin/python .ci/mutate_equations.py [--jobs=N] [--only=FUNCTION] ...

One mutant per changed operator, sign, constant, function, axis, branch and shape. Each takes the
place of the functions of `ldl_fer.equations` in a process forked after pytest has collected
tests/test_equations.py, which then runs until its first failure. The golden files are left out: the
tests must hold on their own. The working tree is not touched.

Exit code 0: every mutant died, except those that EQUIVALENT argues away. 1: one survived, or an
entry of EQUIVALENT no longer stands for a survivor. 2: the tests fail on the unbroken module, or it
has an operator or a function of TensorFlow that the tables below know nothing to put in place of.
"""

import argparse
import ast
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.update(TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")
sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
from tqdm import tqdm  # noqa: E402

from ldl_fer import equations  # noqa: E402

SECONDS_PER_MUTANT = 300

# (function, broken statement): why no input tells it from the true one.
_TWO_AXES = "the summed tensor has two axes, so that 1 is -1"
_NAMED_ONCE = "a letter that stands once in its list asks for an axis, not for a size"
EQUIVALENT = {
    (
        "classification_loss",
        "return -tf.reduce_sum(target_distribution * log_probabilities, axis=1)",
    ): _TWO_AXES,
    (
        "aggregated_distribution",
        "total = tf.reduce_sum(contribution, axis=1, keepdims=True)",
    ): _TWO_AXES,
    (
        "center_loss",
        "distance = tf.reduce_sum(tf.math.squared_difference(features, own_centers), axis=1)",
    ): _TWO_AXES,
    (
        "local_similarity",
        "tf.debugging.assert_shapes([(auxiliary, ('B', 'D')), "
        "(neighbor_auxiliary, ('B', 'K_', 'D'))])",
    ): _NAMED_ONCE,
    (
        "calibration_score",
        "tf.debugging.assert_shapes([(logit, ('B_', 'K'))])",
    ): _NAMED_ONCE,
    (
        "calibration_score",
        "tf.debugging.assert_shapes([(logit, ('B', 'K_'))])",
    ): _NAMED_ONCE,
    (
        "center_separation",
        "tf.debugging.assert_shapes([(centers, ('C_', 'V'))])",
    ): _NAMED_ONCE,
    (
        "center_separation",
        "tf.debugging.assert_shapes([(centers, ('C', 'V_'))])",
    ): _NAMED_ONCE,
    (
        "center_separation",
        "difference = centers[:, tf.newaxis] - centers",
    ): "broadcasting puts the leading axis there anyway",
    (
        "center_separation",
        "return tf.reduce_sum(pairs - tf.linalg.band_part(pairs, -2, 0))",
    ): "any negative number means the whole triangle to band_part",
}

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
}
COMPARISONS = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
FUNCTIONS = {
    "tf.exp": "tf.math.log",
    "tf.math.log": "tf.exp",
    "tf.reduce_sum": "tf.reduce_mean",
    "tf.reduce_mean": "tf.reduce_sum",
    "tf.equal": "tf.not_equal",
    "tf.maximum": "tf.minimum",
    "tf.minimum": "tf.maximum",
    "tf.abs": "tf.square",
    "tf.square": "tf.abs",
    "tf.sqrt": "tf.square",
    "tf.sigmoid": "tf.tanh",
    "tf.nn.softmax": "tf.sigmoid",
    "tf.nn.log_softmax": "tf.math.log_sigmoid",
    "tf.ones_like": "tf.zeros_like",
    "tf.math.divide_no_nan": "tf.math.divide",
    "tf.math.squared_difference": "tf.subtract",
    "tf.math.unsorted_segment_sum": "tf.math.unsorted_segment_mean",
}
# Broken by their arguments: the first in place of the call, two exchanged, one left out.
WITHOUT_PARTNER = {
    *("tf.cast", "tf.shape", "tf.stop_gradient", "tf.where", "tf.einsum"),
    *("tf.linalg.diag", "tf.linalg.diag_part", "tf.linalg.band_part", "tf.debugging.assert_shapes"),
}


class Mutant(NamedTuple):
    line: int
    function: str
    change: str
    statement: str  # as broken
    source: str

    @property
    def key(self) -> tuple[str, str]:
        return self.function, self.statement


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module's functions. Docstrings and annotations are left alone."""
    tree = ast.parse(source)
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        if ast.get_docstring(function):
            function.body = function.body[1:]
        for parent, field, place, change, statement in _sites(function, function):
            before = getattr(parent, field)
            node = before if place is None else before[place]
            after = change if place is None else [*before[:place], change, *before[place + 1 :]]
            setattr(parent, field, after)
            yield Mutant(
                node.lineno,
                function.name,
                f"{_line(node)}  ->  {_line(change)}",
                _line(change if statement is node else statement),
                ast.unparse(ast.fix_missing_locations(tree)),
            )
            setattr(parent, field, before)


def unknown(source: str) -> list[str]:
    """What a module uses and nothing is known to put in place of: "line: what it is"."""
    found = []
    for node in _below(ast.parse(source)):
        match node:
            case ast.Call(called):
                name = ast.unparse(called)
                if name.startswith("tf.") and name not in {*FUNCTIONS, *WITHOUT_PARTNER}:
                    found.append((node.lineno, f"{name}: give it a partner in FUNCTIONS"))
            case ast.BinOp(_, operator, _) if type(operator) not in OPERATORS:
                found.append((node.lineno, f"{_line(node)}: give it a partner in OPERATORS"))
            case ast.Compare(_, operators, _) if {*map(type, operators)} - COMPARISONS.keys():
                found.append((node.lineno, f"{_line(node)}: give it a partner in COMPARISONS"))
    return [f"{line}: {what}" for line, what in sorted(found)]


def _sites(node: ast.AST, statement: ast.stmt) -> Iterator[tuple]:
    """(parent, field, place in the field's list or None, changed child, statement) below a node."""
    for field, place, child in _children(node):
        own = child if isinstance(child, ast.stmt) else statement
        for change in _changes(child):
            yield node, field, place, change, own
        yield from _sites(child, own)


def _below(node: ast.AST) -> Iterator[ast.AST]:
    for _, _, child in _children(node):
        yield child
        yield from _below(child)


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    """(field, place in the field's list or None, child), but for what is free to change."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for place, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield field, place, child  # a JoinedStr is the text of an error


def _line(node: ast.AST) -> str:
    lines = ast.unparse(node).splitlines()
    return lines[0] if len(lines) == 1 else f"{lines[0]} ..."


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.BinOp(left, operator, right):
            if type(operator) in OPERATORS:  # else `unknown` tells
                yield ast.BinOp(left, OPERATORS[type(operator)](), right)
            yield left
            yield right
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.Compare(left, operators, right):
            for place, operator in enumerate(operators):
                if type(operator) in COMPARISONS:
                    other = COMPARISONS[type(operator)]()
                    changed = [*operators[:place], other, *operators[place + 1 :]]
                    yield ast.Compare(left, changed, right)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.IfExp(_, body, orelse):
            yield body
            yield orelse
        case ast.If(ast.Name() as test, body, orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Constant(None):
            yield ast.Constant(0.0)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(str(value)):
            yield ast.Constant(f"{value}_")
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Subscript(value, ast.Tuple(items)):
            yield value
            yield ast.Subscript(value, ast.Tuple(items[::-1], ast.Load()), ast.Load())
        case ast.Subscript(value, _):
            yield value
        case ast.Call():
            yield from _changes_of_call(node)
        case ast.Return(ast.Tuple(items)):
            for place, item in enumerate(items):
                negated = [*items[:place], ast.UnaryOp(ast.USub(), item), *items[place + 1 :]]
                yield ast.Return(ast.Tuple(negated, ast.Load()))
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.UnaryOp):
            yield ast.Return(ast.UnaryOp(ast.USub(), value))
        case ast.Expr() | ast.Raise():
            yield ast.Pass()


def _changes_of_call(call: ast.Call) -> Iterator[ast.AST]:
    name = ast.unparse(call.func)
    if name == "tf.debugging.assert_shapes":
        return  # goes as a whole, and letter by letter
    if name in FUNCTIONS:
        other = ast.parse(FUNCTIONS[name], mode="eval").body
        yield ast.Call(other, call.args, call.keywords)
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if name == "tf.where":
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        named |= dict(zip(("condition", "x", "y"), call.args, strict=False))
        if len(named) == 3:
            yield ast.Call(call.func, [named["condition"], named["y"], named["x"]], [])
            yield named["x"]
        arguments = [named["condition"]]
    yield from arguments[:1]
    for place in range(len(call.keywords)):
        kept = call.keywords[:place] + call.keywords[place + 1 :]
        yield ast.Call(call.func, call.args, kept)


class MutantLoop:
    """A pytest plugin: instead of once, the collected tests run on each source, in forks.

    Nothing may have been computed by TensorFlow before: its threads do not survive a fork.
    """

    def __init__(self, sources: list[tuple[str, str]], jobs: int):
        """Takes pairs (function to test first, source of the module), and processes at once."""
        self.sources, self.jobs = sources, jobs
        self.first_failures = []  # per source, None where all tests passed
        self.failure = None

    def pytest_runtest_logreport(self, report):
        if report.failed and not self.failure:
            self.failure = report.nodeid.split("::")[-1]

    def pytest_runtestloop(self, session):
        self.items = session.items
        fork = multiprocessing.get_context("fork")
        with fork.Pool(self.jobs, _inherit, [self], maxtasksperchild=1) as pool:
            runs = pool.imap(_first_failure, range(len(self.sources)))
            self.first_failures = list(tqdm(runs, total=len(self.sources), unit="mutant"))
        return True

    def first_failure(self, number: int) -> str | None:
        function, source = self.sources[number]
        items = sorted(self.items, key=lambda item: function not in item.name)
        signal.signal(signal.SIGALRM, _out_of_time)
        signal.alarm(SECONDS_PER_MUTANT)
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:  # tf.function reads the source
            file.write(source)
            file.flush()
            exec(compile(source, file.name, "exec"), vars(equations))
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.failure:
                    break
        return self.failure


def _inherit(loop: MutantLoop) -> None:
    global _loop
    _loop = loop


def _first_failure(number: int) -> str | None:
    return _loop.first_failure(number)


def _out_of_time(*_):
    raise TimeoutError(f"over {SECONDS_PER_MUTANT} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument(
        "--only", action="append", default=[], metavar="FUNCTION", help="one of its functions"
    )
    given = parser.parse_args()

    source = Path(equations.__file__).read_text()
    if problems := unknown(source):
        print("nothing is known to put in place of", *problems, sep="\n  ")
        return 2
    broken = list(mutants(source))
    chosen = set(given.only) or {m.function for m in broken} | {key[0] for key in EQUIVALENT}
    broken = [mutant for mutant in broken if mutant.function in chosen]
    if absent := set(given.only) - {mutant.function for mutant in broken}:
        parser.error(f"ldl_fer/equations.py has no function {', '.join(sorted(absent))}")
    loop = MutantLoop([("", source), *((m.function, m.source) for m in broken)], given.jobs)
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:terminal", "--capture=no"]
    tests = ROOT / "tests" / "test_equations.py"
    code = pytest.main([*options, "--golden=/absent", f"--rootdir={ROOT}", str(tests)], [loop])
    if not loop.first_failures:
        print(f"the tests cannot be collected: pytest exit code {int(code)}")
        return 2
    whole, *first_failures = loop.first_failures
    if whole:
        print(f"the tests fail on the module as it is: {whole}")
        return 2
    return report(broken, first_failures, {key for key in EQUIVALENT if key[0] in chosen})


def report(
    broken: list[Mutant], first_failures: list[str | None], argued: set[tuple[str, str]]
) -> int:
    """Prints the table mutant -> test; 1 if one got away or an entry argued is stale, else 0."""
    survivors, equivalent = [], set()
    for mutant, test in zip(broken, first_failures, strict=True):
        if test is None and mutant.key in EQUIVALENT:
            equivalent.add(mutant.key)
            verdict = f"equivalent: {EQUIVALENT[mutant.key]}"
        elif test is None:
            survivors.append(mutant)
            verdict = "SURVIVES"
        else:
            verdict = test
        print(f"{mutant.line:4} {mutant.statement}\n{'':5}{mutant.change}\n{'':5}{verdict}")
    stale = argued - equivalent
    for key in sorted(stale):
        print(f"EQUIVALENT holds {key}, which is no surviving mutant")
    print(f"{len(broken)} mutants, {len(equivalent)} equivalent, {len(survivors)} survive")
    for mutant in survivors:
        print(f"  {mutant.line} {mutant.function}: {mutant.statement}")
    return 1 if survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main())
