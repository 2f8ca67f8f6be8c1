"""What a SavedModel's graph may do: compute. It holds no Python, but operations that reach out.

TensorFlow marks operations that have a state or an effect beyond their outputs. Of those, the ones
that a network consists of are named here, and all others are refused; of the rest, those that
reach out all the same. The functions that save and restore variables are let be as long as nothing
else calls them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ldl_fer.errors import InputError

# Variables, calls, loops, random numbers, and lists: what networks have of state.
_INNOCENT = re.compile(
    "Assert|Assign(Add|Sub)?VariableOp|ReadVariableOp|VarHandleOp|VarIsInitializedOp|"
    "VariableShape|DisableCopyOnRead|ResourceGather(Nd)?|ResourceScatter.*|"
    "StatefulPartitionedCall|If|Case|While|DeviceIndex|"
    "Random.*|Multinomial|TruncatedNormal|ParameterizedTruncatedNormal|Stateful.*|Rng.*|"
    "StatelessRandomGetAlg|NonDeterministicInts|TensorArray.*|Stack.*|Empty|"
    "CheckNumerics(V2)?|CudnnRNN.*|SampleDistortedBoundingBox(V2)?|GuaranteeConst|"
    "DestroyResourceOp|MutexV2|MutexLock|ConsumeMutexLock|_Arg|_Retval"
)
# Of operations that have neither state nor effect: what reads files, runs Python, or asks others.
_REACHING_OUT = re.compile(
    "ReadFile|MatchingFiles|ImmutableConst|PyFuncStateless|.*TextFile(V2)?|Sharded.*|"
    "Debug.*|.*Dataset.*|Reader.*|.*Rpc.*|.*Remote.*"
)


def refuse_operations(file: Path) -> None:
    """Looks through a saved_model.pb.

    Raises:
      InputError: it is damaged, or holds operations that do more than compute; they are named.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        graphs = SavedModel.FromString(file.read_bytes()).meta_graphs
        found = sorted({op for graph in graphs for op in _operations(graph) if not _innocent(op)})
    except (OSError, DecodeError, IndexError) as error:
        raise InputError(f"{file} is damaged: {error}. Get the SavedModel again.") from error
    if found:
        raise InputError(
            f"{file} is refused: its graph holds {', '.join(found)}, and such operations can read "
            "or write files or run code. If you trust its source, add --trust_model."
        )


def _innocent(op: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(op)
    if known is None:  # of a library that would have to be loaded
        return False
    return bool(_INNOCENT.fullmatch(op) if known.is_stateful else not _REACHING_OUT.fullmatch(op))


def _operations(meta_graph: Any) -> Iterator[str]:
    """All but those that only the saver uses, and calls of the graph's own functions."""
    library = {f.signature.name: f for f in meta_graph.graph_def.library.function}
    saver = {
        name.partition(":")[0]
        for name in (meta_graph.saver_def.save_tensor_name, meta_graph.saver_def.restore_op_name)
        if name
    }
    nodes = meta_graph.graph_def.node
    of_saver = _reached((node for node in nodes if node.name in saver), library)
    of_others = _reached((node for node in nodes if node.name not in saver), library)
    called = [*meta_graph.object_graph_def.concrete_functions, *_restoring(meta_graph)]
    for name in called:
        of_others |= {name} | _reached(library[name].node_def if name in library else (), library)
    kept = [library[name].node_def for name in library if name not in of_saver - of_others]
    for part in (nodes, *kept):
        yield from (node.op for node in part if node.op not in library)


def _restoring(meta_graph: Any) -> Iterator[str]:
    """Functions by which objects other than variables are saved and restored."""
    objects = meta_graph.object_graph_def.nodes
    for node in objects:
        for child in node.saveable_objects.values():
            for number in (child.save_function, child.restore_function):
                yield from objects[number].function.concrete_functions


def _reached(nodes: Iterable[Any], library: Mapping[str, Any]) -> set[str]:
    """Names of the functions that nodes call, and those that these call."""
    reached: set[str] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        for name in _functions(node):
            if name in library and name not in reached:
                reached.add(name)
                waiting += library[name].node_def
    return reached


def _functions(node: Any) -> Iterator[str]:
    yield node.op  # a function can be called by its name as an operation
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)
