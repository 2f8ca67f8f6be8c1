"""Whether compiled Python code, marshalled and in base 64, is of this minor version of Python.

    python -I code_object.py < LINES

Exits with 0 if all lines are. Compiled code does not say which Python made it, and code of another
one can crash this one when it is but looked at: `bytecode` runs this file as a process of its own.
"""

import base64
import dis
import marshal
import opcode
import os
import sys
import types
from collections.abc import Iterator, Sequence

# Python 3.11 and later have them, and tell of them here alone.
_CACHES: Sequence[int] = getattr(opcode, "_inline_cache_entries", 256 * [0])
_LAST = ("RETURN", "RERAISE", "RAISE", "JUMP")


def runs_here(text: str) -> bool:
    """Whether this Python could have made all of the code in a text; it is not run."""
    try:
        code = marshal.loads(base64.b64decode(text))
    except (ValueError, EOFError, TypeError):
        return False
    return isinstance(code, types.CodeType) and all(_fits(part) for part in _parts(code))


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts(constant)


def _fits(code: types.CodeType) -> bool:
    """Whether the operations are this Python's.

    All of them are known here; each is followed by as many cache entries, zeros, as here; they
    begin as code does here, and do not run out of the end.
    """
    content, place, names = code.co_code, 0, []
    while place < len(content):
        name = dis.opname[content[place]]
        end = place + 2 + 2 * _CACHES[content[place]]
        if name.startswith("<") or name == "CACHE" or any(content[place + 2 : end]):
            return False
        names.append(name)
        place = end
    begun = "RESUME" in names or "RESUME" not in dis.opmap
    return begun and place == len(content) and names[-1].startswith(_LAST)


if __name__ == "__main__":
    # At once: what broken code left behind could still crash the usual end.
    os._exit(0 if all(runs_here(line) for line in sys.stdin) else 1)
