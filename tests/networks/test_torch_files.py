"""Tensors of .pth and .safetensors: the numbers to the bit; programs, damage and others refused."""

import collections
import pickle
import zipfile

import numpy as np
import pytest
from helpers.planted import Planted
from helpers.torch_weights import write_pth, write_safetensors

from ldl_fer.errors import InputError
from ldl_fer.networks.torch_files import read_tensors

RANDOM = np.random.default_rng(0)
CONTENT = collections.OrderedDict(
    [
        ("conv1.weight", RANDOM.normal(size=[4, 3, 2, 2]).astype(np.float32)),
        ("bn1.num_batches_tracked", np.array(9, np.int64)),
        ("empty", np.zeros([0, 3], np.float32)),
    ]
)


def same(found, wanted=CONTENT):
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


def test_safetensors(tmp_path):
    same(read_tensors(write_safetensors(tmp_path / "w.safetensors", CONTENT)))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda content: content,
        lambda content: {"epoch": 3, "best": 0.87, "arch": "resnet18", "state_dict": content},
        lambda content: {"model": dict(content), "lr": [0.1, 1e-9], "done": (True, None, 2**40)},
        lambda content: {f"module.{name}": value for name, value in content.items()},
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_pth(tmp_path, monkeypatch, wrapped, old):
    same(read_tensors(write_pth(tmp_path / "w.pth", wrapped(CONTENT), monkeypatch, old)))


def test_what_torch_itself_saves(tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save({"state_dict": network.state_dict(), "epoch": 1}, tmp_path / "w.pth")
    wanted = {name: value.numpy() for name, value in network.state_dict().items()}
    same(read_tensors(tmp_path / "w.pth"), wanted)


def test_a_program_in_the_old_format_is_refused_and_not_run(tmp_path):
    parts = (0x1950A86A20F9469CFC6C, 1001, {}, {"a": Planted(tmp_path / "made")}, [])
    (tmp_path / "w.pth").write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
    with pytest.raises(InputError, match="w.pth is refused: it asks for"):
        read_tensors(tmp_path / "w.pth")
    assert not (tmp_path / "made").exists()


def pth_of(path, program):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_program_is_refused_and_not_run(tmp_path, protocol):
    program = pickle.dumps({"conv1.weight": Planted(tmp_path / "made")}, protocol)
    with pytest.raises(InputError, match="w.pth is refused: it asks for"):
        read_tensors(pth_of(tmp_path / "w.pth", program))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "value", [np.float64(0.5), np.arange(3), Exception("x"), {1, 2}, complex(1, 2), print]
)
def test_other_objects_are_refused(tmp_path, value):
    program = pickle.dumps({"state_dict": {}, "best": value}, 2)
    with pytest.raises(InputError, match="^[^ ]* is refused: it asks for"):
        read_tensors(pth_of(tmp_path / "w.pth", program))


def test_a_tensor_beyond_its_numbers_is_refused(tmp_path, monkeypatch):
    path = write_pth(tmp_path / "w.pth", CONTENT, monkeypatch)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    shape = b"K\x04K\x03K\x02K\x02"  # 4, 3, 2, 2
    assert shape in files["archive/data.pkl"]
    files["archive/data.pkl"] = files["archive/data.pkl"].replace(shape, b"K\x05" + shape[2:])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="reaches beyond its numbers"):
        read_tensors(path)


def test_damaged_and_other_files(tmp_path, monkeypatch):
    safe = write_safetensors(tmp_path / "w.safetensors", CONTENT).read_bytes()
    pth = write_pth(tmp_path / "w.pth", CONTENT, monkeypatch).read_bytes()
    old = write_pth(tmp_path / "w.pth", CONTENT, monkeypatch, old=True).read_bytes()
    for name, content, text in (
        ("a.safetensors", safe[:-4], "damaged"),
        ("b.safetensors", b"\xff" * 40, "damaged"),
        ("c.safetensors", b"", "damaged"),
        ("d.pth", pth[: len(pth) // 2], "damaged"),
        ("e.pth", pickle.dumps(0x1950A86A20F9469CFC6C, 2), "damaged"),  # the old format's start
        ("f.pth", b"", "damaged"),
        ("i.pth", old[:-4], "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} .*{text}"):
            read_tensors(tmp_path / name)
    for program, text in (
        (pickle.dumps([1, 2], 2), "holds a list, not the state_dict"),
        (pickle.dumps({"epoch": 3}, 2), "no tensors by name"),
        (pickle.dumps({"a": 1}, 2)[:-1], "damaged"),
    ):
        with pytest.raises(InputError, match=text):
            read_tensors(pth_of(tmp_path / "g.pth", program))
    for name in ("h.pth", "h.safetensors"):
        with pytest.raises(InputError, match=f"{name} cannot be read: No such file"):
            read_tensors(tmp_path / name)


@pytest.mark.parametrize("kind", ["safetensors", "pth", "old"])
def test_changed_bytes_end_in_a_sentence_or_in_tensors(tmp_path, monkeypatch, kind):
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    if kind == "safetensors":
        write_safetensors(path, CONTENT)
    else:
        write_pth(path, CONTENT, monkeypatch, kind == "old")
    content, random, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        changed = bytearray(content)
        for place in random.integers(0, len(content), 3):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        try:
            read_tensors(path)
        except InputError:
            refused += 1
    assert refused > 20
