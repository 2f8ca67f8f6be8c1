"""Any CSV, configuration or flag is read right, or refused in words."""

import copy
import json

import numpy as np
import pytest
from absl import flags
from helpers.fuzz_profile import fuzzed, whatever
from hypothesis import given
from hypothesis import strategies as st

from ldl_fer.config import GROUPS, Config, fields
from ldl_fer.config.flags import config_from_flags, define_flags
from ldl_fer.config.presets import PRESETS
from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError

CLASSES = PRESETS["small"].data.class_names
GOOD = (
    "subDirectory_filePath,expression,valence,arousal,knn,votes_neutral,note\r\n"
    'a.png,0,0.25,-0.5,1;2,3,"x, ""y"""\r\n'
    "b/c.png,6,-1,1,0;2,0,\r\n"
    "d.png,3,1e-3,.5,1;0,0,é\r\n"
)
CELLS = st.one_of(
    st.sampled_from(["", "0", "6", "7", "-1", "1.0", "nan", "inf", "-inf", "1e400", "0x1", "1_0"]),
    st.sampled_from(
        ["a.png", "../a.png", "/etc/passwd", "a/../../b", ".", "..", "1;2", "0;0", ";"]
    ),
    st.sampled_from(["\ufeff", "\x00", "٣", "½", " 0 ", "−1", "1,2", '"', "a\nb", "a\rb"]),
    st.floats().map(str),
    st.integers().map(str),
    st.text(max_size=12),
)


def check(path):
    """A table that is accepted is what its documentation says."""
    try:
        table = read_annotations(path, path.parent, progress=False, decode=False)
    except InputError as error:
        assert str(path) in str(error)
        return False
    count = len(table)
    assert count >= 2 and len(set(table.paths)) == count
    assert all(name and not name.startswith(("/", "../")) for name in table.paths)
    assert ((table.labels >= 0) & (table.labels < len(CLASSES))).all()
    assert (np.abs(table.valence_arousal) <= 1).all()
    if table.neighbors is not None:
        assert ((table.neighbors >= 0) & (table.neighbors < count)).all()
        assert (table.neighbors != np.arange(count)[:, np.newaxis]).all()
    assert len(table.fingerprint()) == 64
    return True


@fuzzed
@given(whatever(GOOD.encode()))
def test_bytes_of_a_csv(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    path.write_bytes(content)
    check(path)


@fuzzed
@given(st.lists(st.lists(CELLS, min_size=4, max_size=5), min_size=1, max_size=5), st.booleans())
def test_cells_of_a_csv(tmp_path_factory, rows, quoted):
    def cell(text):
        return '"' + text.replace('"', '""') + '"' if quoted else text

    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    header = ["subDirectory_filePath", "expression", "valence", "arousal", "knn"]
    lines = [",".join(map(cell, row)) for row in [header[: len(rows[0])], *rows]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    check(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_unbroken_csv_is_accepted(tmp_path, encoding):
    (tmp_path / "good.csv").write_bytes(GOOD.encode(encoding))
    assert check(tmp_path / "good.csv")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-32"])
def test_other_encodings_are_named(tmp_path, encoding):
    (tmp_path / "other.csv").write_bytes(GOOD.encode(encoding))
    with pytest.raises(InputError, match="UTF-8"):
        read_annotations(tmp_path / "other.csv")


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def defined_flags():
    """Flags of train.py, not parsed."""
    before = set(flags.FLAGS)
    define_flags()
    yield flags.FLAGS
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)


NAMES = [name for group in GROUPS for name in fields(group)]


def valid(config):
    """Checks that a configuration can be written and read again, and is of the declared kinds."""
    assert Config.from_json(config.to_json()) == config
    for group in GROUPS:
        for name, field in fields(group).items():
            value, kind = getattr(config.group(group), name), type(field.default)
            if isinstance(field.default, (bool, int, str, tuple)):
                assert isinstance(value, kind), name


@fuzzed
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3))
def test_settings(settings):
    try:
        config = Config().replace(**settings)
    except InputError as error:
        assert any(name in str(error) for name in settings)
        return
    valid(config)


@fuzzed
@given(
    st.one_of(VALUES.map(json.dumps).map(str.encode), whatever(PRESETS["small"].to_json().encode()))
)
def test_a_configuration_file(content):
    try:
        config = Config.from_json(content.decode(errors="replace"))
    except (ValueError, InputError):
        return
    valid(config)


@fuzzed
@given(
    st.sampled_from(NAMES),
    st.one_of(st.text(max_size=8), st.floats().map(str), st.integers().map(str), CELLS),
)
def test_flags(defined_flags, name, value):
    former, flags.FLAGS = flags.FLAGS, copy.deepcopy(defined_flags)
    try:
        flags.FLAGS(["train.py", f"--{name}={value}"])
        config = config_from_flags()
    except (flags.Error, InputError) as error:
        assert name in str(error)
        return
    finally:
        flags.FLAGS = former
    valid(config.replace(trust_model=False))  # which no file keeps
