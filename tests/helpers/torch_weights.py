"""State dicts in torchvision's names, made up, and .pth files of them, written without torch."""

import collections
import json
import pickle
import sys
import types
import zipfile

import numpy as np


def state_dict(bottleneck=False, seed=0, blocks=(2, 2, 2, 2), width=64):
    """Random weights of a ResNet, activations of about 1 throughout."""
    random, made = np.random.default_rng(seed), collections.OrderedDict()

    def add(name, inputs, outputs, side, norm):
        deviation = (2 / (inputs * side * side)) ** 0.5
        kernel = random.normal(0, deviation, [outputs, inputs, side, side])
        made[f"{name}.weight"] = kernel.astype(np.float32)
        for kind, low, high in (
            *(("weight", 0.5, 1.0), ("bias", -0.3, 0.3)),
            *(("running_mean", -0.2, 0.2), ("running_var", 0.5, 1.5)),
        ):
            made[f"{norm}.{kind}"] = random.uniform(low, high, outputs).astype(np.float32)
        made[f"{norm}.num_batches_tracked"] = np.array(7, np.int64)

    add("conv1", 3, width, 7, "bn1")
    inputs = width
    for stage, count in enumerate(blocks):
        filters = width * 2**stage
        outputs = 4 * filters if bottleneck else filters
        for block in range(count):
            at = f"layer{stage + 1}.{block}"
            shapes = [(inputs, filters, 3), (filters, filters, 3)]
            if bottleneck:
                shapes = [(inputs, filters, 1), (filters, filters, 3), (filters, outputs, 1)]
            for number, (first, last, side) in enumerate(shapes, 1):
                add(f"{at}.conv{number}", first, last, side, f"{at}.bn{number}")
            if block == 0 and (stage or bottleneck):
                add(f"{at}.downsample.0", inputs, outputs, 1, f"{at}.downsample.1")
            inputs = outputs
    made["fc.weight"] = np.zeros([5, inputs], np.float32)
    made["fc.bias"] = np.zeros(5, np.float32)
    return made


class Tensor:
    """Pickled as torch pickles a tensor."""

    def __init__(self, array, key):
        self.array, self.key = np.ascontiguousarray(array), key


def write_pth(path, content, monkeypatch, old=False):
    """Writes a .pth as torch.save does; arrays become tensors, other values stay as they are.

    `old`: as PyTorch before 1.6 did.
    """
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage"):
        kind = type(name, (), {"__module__": "torch", "__qualname__": name})
        setattr(torch, name, kind)

    def _rebuild_tensor_v2():
        """Stands for torch's."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
    )
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    storages = {}

    class Storage:
        def __init__(self, tensor):
            self.tensor = tensor

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            array = value.tensor.array
            kind = torch.LongStorage if array.dtype == np.int64 else torch.FloatStorage
            storages[value.tensor.key] = array
            key = "storage", kind, value.tensor.key, "cpu", array.size
            return (*key, None) if old else key

        def reducer_override(self, value):
            if not isinstance(value, Tensor):
                return NotImplemented
            strides = tuple(s // value.array.itemsize for s in value.array.strides)
            arguments = (Storage(value), 0, value.array.shape, strides, False)
            return _rebuild_tensor_v2, (*arguments, collections.OrderedDict())

    def with_tensors(value):
        if isinstance(value, dict):
            return type(value)((name, with_tensors(item)) for name, item in value.items())
        if isinstance(value, np.ndarray):
            with_tensors.count += 1
            return Tensor(value, str(with_tensors.count))
        return value

    with_tensors.count = 0
    if old:
        with open(path, "wb") as file:
            for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
                pickle.dump(value, file, 2)
            Pickler(file, 2).dump(with_tensors(content))
            pickle.dump(sorted(storages, reverse=True), file, 2)
            for _, array in sorted(storages.items(), reverse=True):
                file.write(array.size.to_bytes(8, "little") + array.tobytes())
        return path
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            Pickler(file, 2).dump(with_tensors(content))
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return path


def write_safetensors(path, content):
    """Writes the format of https://github.com/huggingface/safetensors."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in content.items():
        kind = {"float32": "F32", "int64": "I64", "float16": "F16"}[array.dtype.name]
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path
