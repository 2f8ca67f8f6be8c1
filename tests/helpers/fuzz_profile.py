"""How the fuzzers run: the same examples every time; LDL_FER_FUZZ=5000 asks for many more."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

fuzzed = settings(
    max_examples=int(os.environ.get("LDL_FER_FUZZ", "60")),
    derandomize="LDL_FER_FUZZ" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some bytes changed, cut out, put in or repeated."""
    made = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(made) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "end", "insert", "repeat", "number"]))
        if kind == "flip" and made:
            made[place] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del made[place : place + draw(st.integers(1, 64))]
        elif kind == "end":
            del made[place:]
        elif kind == "insert":
            made[place:place] = draw(st.binary(max_size=16))
        elif kind == "repeat":
            made[place:place] = made[place : place + draw(st.integers(1, 64))]
        elif kind == "number":
            extreme = draw(st.sampled_from([b"\xff", b"\x7f", b"\0", b"\x80"]))
            width = draw(st.sampled_from([2, 4, 8]))
            made[place : place + width] = extreme * width
    return bytes(made)


def whatever(content: bytes) -> st.SearchStrategy[bytes]:
    """Mostly damaged content, now and then any bytes."""
    return st.one_of(damaged(content), damaged(content), damaged(content), st.binary(max_size=400))
