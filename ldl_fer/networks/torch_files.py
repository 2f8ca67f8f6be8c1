"""Reads tensors from files as data: nothing of them is run, torch is not needed; writes them.

.safetensors   a header in JSON, then the numbers; also written
.pth, .pt      a pickle that names tensors, whose numbers lie beside it in a zip file or, before
               PyTorch 1.6, behind it

A pickle is a program. This one is followed instruction by instruction as far as it makes numbers,
texts, lists, dictionaries and tensors; whatever it names beside these, or asks to call, is refused.
"""

import io
import json
import math
import pickletools
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ldl_fer.errors import InputError

_SAFETENSORS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}
_STORAGES = {
    **{"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2"},
    **{"LongStorage": "<i8", "IntStorage": "<i4", "ByteStorage": "u1", "BoolStorage": "?"},
}
_REBUILD = ("_rebuild_tensor_v2", "_rebuild_parameter")
_NAMES = {
    "collections OrderedDict",
    *(f"torch {name}" for name in _STORAGES),
    *(f"torch._utils {name}" for name in _REBUILD),
}
_MARK = object()
_DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
)
_OLD_FORMAT = 0x1950A86A20F9469CFC6C  # which it begins with
_Numbers = Callable[[str, np.dtype, int], np.ndarray]  # name, type and count of a storage


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dict: name -> array.

    Of a checkpoint that holds more, it is what lies under state_dict, model or net; "module." in
    front of the names, of a network that was trained on several GPUs, is left out.

    Raises:
      InputError: no such file, another format, a damaged one, or one that holds or asks for
        anything but numbers, texts, containers and tensors.
    """
    path = Path(path)
    try:
        if path.suffix == ".safetensors":
            found = _safetensors(path)
        else:
            path.open("rb").close()  # says that there is none
            found = _torch_zip(path) if zipfile.is_zipfile(path) else _torch_before_zip(path)
    except InputError:  # a ValueError, too
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged, or no file of weights: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__}, not the state_dict of a network.")
    for name in ("state_dict", "model", "net"):
        if isinstance(found.get(name), dict):
            found = found[name]
    tensors = {str(k).removeprefix("module."): v for k, v in found.items()}
    tensors = {name: value for name, value in tensors.items() if isinstance(value, np.ndarray)}
    if not tensors:
        raise InputError(f"{path} holds no tensors by name. Save the network's state_dict().")
    return tensors


def write_safetensors(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as .safetensors, by falling size of a number and then in their order.

    Args:
      path: of the file.
      tensors: name -> array, of a type that `read_tensors` reads.

    Raises:
      KeyError: of another type.
    """
    codes = {np.dtype(kind): code for code, kind in _SAFETENSORS.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "tf"}}  # kernels as TensorFlow has them
    ordered, end = sorted(tensors.items(), key=lambda item: -item[1].itemsize), 0
    for name, values in ordered:
        start, end = end, end + values.nbytes
        code, shape = codes[values.dtype.newbyteorder("<")], list(values.shape)
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8
    with Path(path).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, values in ordered:
            file.write(values.astype(values.dtype.newbyteorder("<")).tobytes())


def _safetensors(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, start = json.loads(content[8 : 8 + length]), 8 + length
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _SAFETENSORS:
            raise ValueError(f"{name} is of type {entry['dtype']}")
        dtype = np.dtype(_SAFETENSORS[entry["dtype"]])
        first, last = entry["data_offsets"]
        count = math.prod(entry["shape"])
        if last - first != count * dtype.itemsize:
            raise ValueError(f"{name} has {last - first} bytes")
        values = np.frombuffer(content, dtype, count, start + first)
        found[name] = values.reshape(entry["shape"])
    return found


def _torch_zip(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        (pickled,) = [n for n in archive.namelist() if n.split("/")[1:] == ["data.pkl"]]
        folder = pickled.rpartition("/")[0]
        order = f"{folder}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise InputError(f"{path} was written on a big-endian machine, which is not read.")

        def numbers(name: str, dtype: np.dtype, count: int) -> np.ndarray:
            return np.frombuffer(archive.read(f"{folder}/data/{name}"), dtype, count)

        return _Program(path, numbers).run(io.BytesIO(archive.read(pickled)))


def _torch_before_zip(path: Path) -> dict[str, Any]:
    """Reads the format of PyTorch before 1.6: five pickles, then size and numbers of storages."""
    content = path.read_bytes()
    file, kinds, storages = io.BytesIO(content), {}, {}

    def noted(name: str, dtype: np.dtype, count: int) -> np.ndarray:
        kinds[name] = dtype, count
        return np.zeros(count, dtype)

    def run(numbers: _Numbers) -> Any:
        return _Program(path, numbers).run(file)

    if run(noted) != _OLD_FORMAT:
        raise ValueError("it is of no format of PyTorch that is known")
    run(noted), run(noted)  # version and machine
    start = file.tell()
    run(noted)
    for name in run(noted):
        dtype, count = kinds[name]
        if int.from_bytes(file.read(8), "little") != count:
            raise ValueError(f"storage {name} has another size than its tensors say")
        storages[name] = np.frombuffer(content, dtype, count, file.tell())
        file.seek(count * dtype.itemsize, io.SEEK_CUR)
    file.seek(start)
    return run(lambda name, dtype, count: storages[name])


class _Name(NamedTuple):
    text: str  # "module name"


class _Program:
    """Follows a pickle's instructions, of the kinds that state dicts consist of."""

    def __init__(self, path: Path, numbers: _Numbers) -> None:
        self._path, self._numbers = path, numbers
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, program: BinaryIO) -> Any:
        """Follows one pickle of a file, which is left behind it."""
        for instruction, argument, _ in pickletools.genops(program):
            name = instruction.name
            if name == "STOP":
                return self._stack.pop()
            self._step(name, argument)
        raise ValueError("it ends in the middle")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in ("PROTO", "FRAME"):
            return
        if name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name.startswith(("BININT", "LONG", "BINUNICODE", "SHORT_BINUNICODE", "BINFLOAT")):
            stack.append(argument)
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("APPEND", "SETITEM", "APPENDS", "SETITEMS"):
            self._add(name)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._name(argument)
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(self._made(stack.pop(), arguments))
        elif name == "BUILD" and isinstance(stack[-2], dict):
            stack.pop()  # attributes of an OrderedDict: _metadata
        else:
            raise InputError(self._refused(f"the instruction {name}"))

    def _marked(self) -> list[Any]:
        marks = [place for place, item in enumerate(self._stack) if item is _MARK]
        start = marks[-1]
        items = self._stack[start + 1 :]
        del self._stack[start:]
        return items

    def _add(self, name: str) -> None:
        if name.endswith("S"):
            items = self._marked()
        else:
            count = 2 if name == "SETITEM" else 1
            items = self._stack[-count:]
            del self._stack[-count:]
        if name.startswith("SETITEM"):
            self._stack[-1].update(zip(items[::2], items[1::2], strict=True))
        else:
            self._stack[-1].extend(items)

    def _name(self, argument: str | None) -> None:
        if argument is None:
            last, module = self._stack.pop(), self._stack.pop()
            argument = f"{module} {last}"
        if argument not in _NAMES:
            raise InputError(self._refused(argument.replace(" ", ".")))
        self._stack.append(_Name(argument))

    def _storage(self, key: Any) -> np.ndarray:
        kind, storage, name, _, count = key[:5]
        if kind != "storage" or not isinstance(storage, _Name):
            raise ValueError(f"{key} is no storage")
        return self._numbers(name, np.dtype(_STORAGES[storage.text.partition(" ")[2]]), count)

    def _made(self, called: Any, arguments: tuple[Any, ...]) -> Any:
        if not isinstance(called, _Name) or called.text.startswith("torch "):
            raise InputError(self._refused(f"a call of {called}"))
        if called.text == "collections OrderedDict":
            return dict(*arguments)
        if called.text.endswith("_rebuild_parameter"):
            return arguments[0]
        storage, offset, shape, strides = arguments[:4]
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if math.prod(shape) and not 0 <= offset <= last < len(storage):
            raise ValueError(f"a tensor of shape {shape} reaches beyond its numbers")
        if any(stride < 0 for stride in strides):
            raise ValueError("a tensor has negative strides")
        steps = [stride * storage.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)

    def _refused(self, what: str) -> str:
        return (
            f"{self._path} is refused: it asks for {what}, and only tensors by name are read. Save "
            "the network's state_dict() alone, best as .safetensors."
        )


_CONSTANTS: Mapping[str, Any] = {
    **{"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple},
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
}
