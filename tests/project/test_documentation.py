"""Commands, flags and make targets in the documents, held against the source."""

import ast
import re
import shlex

import pytest
from helpers.commands import ROOT, commands, understood
from helpers.documents import blocks, command_lines, documents, own_command, prose

from ldl_fer.config import GROUPS, fields

SUBCOMMANDS = {"affect": ("train", "predict", "prototypes", "evaluate")}
FOREIGN = {"logdir", "help", "progress"}  # flags of other programs, and what every command has
_FLAG = re.compile(r"(?<![\w-])--([a-z]\w*)(?:=([\w.,|-]*))?")
_CODE = re.compile(r"(`+)(.+?)\1", re.S)


def spoken(name):
    """Returns what a text may call a command, beside `ldl-fer NAME`."""
    return {name, f"{name}.py"}


@pytest.fixture(scope="module")
def all_commands():
    """(command, subcommand or "") -> what it understands."""
    lines = [[name, *sub] for name in commands() for sub in [[], *zip(SUBCOMMANDS.get(name, ()))]]
    answers = understood(lines)
    return {(line[0], "".join(line[1:])): said for line, said in zip(lines, answers, strict=True)}


def named_in(span, all_commands):
    """Returns those of the commands that a piece of code names; all where it names none."""
    words = set(re.split(r"[\s=]+", span))
    entered = re.search(r"ldl-fer ([a-z_]+)", span)
    named = {
        key: said
        for key, said in all_commands.items()
        if (key[0] == entered[1] if entered else spoken(key[0]) & words)
    }
    chosen = {key: said for key, said in named.items() if key[1] and key[1] in words}
    return chosen or named or all_commands


def problems_of(span, some_commands):
    """Yields mistakes in the flags of a piece of text, where they are those of some commands."""
    for name, value in _FLAG.findall(span):
        if any(
            name == f"no{boolean}" for said in some_commands.values() for boolean in said.booleans
        ):
            continue
        known = [said.flags[name] for said in some_commands.values() if name in said.flags]
        if not known and name not in FOREIGN:
            yield f"--{name} is no flag of {', '.join(sorted({key[0] for key in some_commands}))}"
        if value and known and None not in known:
            choices = {choice for some in known for choice in some}
            yield from (
                f"--{name} has no choice {one}" for one in value.split("|") if one not in choices
            )


@pytest.mark.parametrize("document", documents(), ids=lambda file: file.name)
def test_every_flag_in_the_text_exists(document, all_commands):
    text = prose(document)
    problems = list(problems_of(_CODE.sub("", text), all_commands))
    for found in _CODE.finditer(text):
        problems += problems_of(found[2], named_in(found[2], all_commands))
    assert problems == []


@pytest.mark.parametrize("document", documents(), ids=lambda file: file.name)
def test_every_command_line_is_understood(document):
    lines = [
        own
        for block in blocks(document)
        if block.language == "sh"
        for words in command_lines(block.text)
        if (own := own_command(words))
    ]
    assert [line[0] for line in lines if line[0] not in commands()] == []
    for line, said in zip(lines, understood(lines), strict=True):
        assert not said.error, f"{shlex.join(line)}: {said.error}"


@pytest.mark.parametrize("document", documents(), ids=lambda file: file.name)
def test_every_ldl_fer_command_in_the_text_exists(document):
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:ldl-fer|python -m ldl_fer) ([a-z_]+)", text))
    assert named <= commands().keys()


@pytest.mark.parametrize("document", documents(), ids=lambda file: file.name)
def test_every_file_in_a_command_line_exists(document):
    """Files of the repository; others are the reader's."""
    words = [
        word
        for block in blocks(document)
        if block.language == "sh"
        for line in command_lines(block.text)
        for word in line
    ]
    named = [
        word for word in words if re.fullmatch(r"(?:tests|\.ci|benchmarks|docs)/[\w/.]+", word)
    ]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", documents(), ids=lambda file: file.name)
def test_every_block_is_of_a_kind_that_is_tested(document):
    """Those of commands are parsed here and run in test_readme.py; bare ones are output and CSV."""
    for block in blocks(document):
        assert block.language in ("sh", "python", "bibtex", ""), str(block)
        if block.language == "python":
            compile(block.text, str(block), "exec")


@pytest.mark.parametrize("document", documents(), ids=lambda file: file.name)
def test_every_make_target_exists(document):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"(?:^|`)make ([a-z][\w-]*)(?=`|\s+#|$)", text, re.M)
    assert set(named) <= targets


def test_help_has_every_flag_once(all_commands):
    for (command, _), said in all_commands.items():
        for name in said.flags:
            lines = re.findall(rf"^  --(?:\[no\])?{name}(?: |$)", said.help, re.M)
            assert len(lines) == 1, f"{command}: --{name}"


def names_read(tree):
    """Names of attributes that are read, and strings, but for those that define a flag."""
    defining = set()
    for node in ast.walk(tree):
        is_flag = isinstance(node, ast.Call) and "DEFINE_" in ast.unparse(node.func)
        if is_flag and isinstance(node.args[0], ast.Constant):
            defining.add(node.args[0])
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in defining:
            yield node.value


def test_every_flag_of_a_command_is_read(all_commands):
    """By the command's file, one of its package, or one of shared flags that it imports."""
    settings = {name for group in GROUPS for name in fields(group)}
    for (command, _), said in all_commands.items():
        file = commands()[command]
        files = file.parent.glob("*.py") if file.name == "__main__.py" else [file]
        text = file.read_text(encoding="utf-8")
        shared = [f for f in (ROOT / "ldl_fer").rglob("*_flags.py") if f".{f.stem} import" in text]
        trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (*files, *shared)]
        read = {name for tree in trees for name in names_read(tree)}
        assert said.flags.keys() - settings - {"preset", "progress"} - read == set(), command


def test_every_setting_is_read():
    """By a module that is not about settings as such."""
    package = ROOT / "ldl_fer"
    files = [file for file in package.rglob("*.py") if file.parent != package / "config"]
    read = {
        node.attr
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    for group in GROUPS:
        assert fields(group).keys() - read == set()


def test_these_tests_see_what_they_forbid(all_commands):
    def found(span):
        return list(problems_of(span, named_in(span, all_commands)))

    assert found("train.py --no_such_flag") == ["--no_such_flag is no flag of train"]
    assert found("audit --test_data_path=x") == ["--test_data_path is no flag of audit"]
    assert found("ldl-fer audit --epochs=x") == ["--epochs is no flag of audit"]
    assert found("ldl-fer affect train --classifier=RUN") == ["--classifier is no flag of affect"]
    assert found("ldl-fer experiments noise --rate=1") == ["--rate is no flag of experiments"]
    assert found("--several=nobody") == ["--several has no choice nobody"]
    assert found("--several=largest|central --noflip") == []
    assert found("affect prototypes --classifier=RUN") == []
    script = (
        "A=1 \\\nB='x\n y' python -m ldl_fer noise \\\n  --rate=0.1 # it's\nmake demo && ls > x\n"
    )
    assert list(command_lines(script)) == [
        ["python", "-m", "ldl_fer", "noise", "--rate=0.1"],
        ["make", "demo"],
        ["ls"],
        ["x"],
    ]
    assert own_command(["bin/python", "-m", "ldl_fer", "noise", "-x"]) == ["noise", "-x"]
    assert own_command(["ldl-fer", "noise", "-x"]) == ["noise", "-x"]
    assert own_command(["python", "train.py", "-x"]) == ["train", "-x"]
    assert own_command(["python", "-m", "benchmarks.soak"]) == ["benchmarks.soak"]
    assert own_command(["python", "-m", "ldl_fer.preparation.noise.command"]) == [
        "ldl_fer.preparation.noise.command"
    ]  # is no command
    assert own_command(["make", "demo"]) is None
    assert own_command([".venv/bin/python", "-m", "pytest"]) is None
    assert "unread" not in set(names_read(ast.parse("flags.DEFINE_string('unread', None, 'x')")))
