"""The kinds and ranges of settings; `ldl_fer.config` checks both wherever one is set.

A range is a function of a setting's name and value that raises InputError; it stands beside the
help of each setting.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

from ldl_fer.errors import InputError

if TYPE_CHECKING:
    from ldl_fer.config.settings import NetworkConfig

Check = Callable[[str, Any], Any]
SPACES = ("valence_arousal", "landmarks", "both")
LANDMARK_PARTS = ("lips", "brows", "eyes", "nose")
KINDS = {
    bool: "true or false",
    int: "a whole number below 2147483648",
    float: "a finite number",
    str: "text without NUL",
    tuple[int, ...]: "a list of whole numbers",
    tuple[float, ...]: "a list of finite numbers",
    tuple[str, ...]: "a list of names",
    float | None: "a finite number or none",
}


def check_setting(
    name: str,
    value: Any,
    kind: Any,
    choices: tuple[str, ...] = (),
    checks: tuple[Check, ...] = (),
) -> None:
    """Checks one setting by itself.

    Args:
      name: of the setting.
      value: the new value.
      kind: its declared type, a key of `KINDS`.
      choices: the only values allowed; empty: no choice among few.
      checks: its range.

    Raises:
      InputError: the value is of another kind, not among the choices or out of range.
    """
    if not _is_of(value, kind):
        raise InputError(f"{name} is {KINDS[kind]}, not {value!r}")
    if choices and value not in choices:
        raise InputError(f"{name} is one of {', '.join(choices)}, not {value!r}")
    for check in checks:
        check(name, value)


def any_sign(name: str, value: Any) -> None:
    """Allows every number."""


def not_negative(name: str, value: Any) -> None:
    """Allows numbers from 0 on, and whatever is no number."""
    if min(_numbers(value), default=0) < 0:
        raise InputError(f"{name} must not be negative, as {value} is")


def positive(name: str, value: Any) -> None:
    """Allows numbers above 0."""
    if min(_numbers(value), default=1) <= 0:
        raise InputError(f"{name} must be above 0, not {value}")


def share(name: str, value: Any) -> None:
    """Allows numbers from 0 to 1."""
    not_negative(name, value)
    if max(_numbers(value), default=0) > 1:
        raise InputError(f"{name} must not be above 1, as {value} is")


def ordered_pair(name: str, value: tuple[float, ...]) -> None:
    """Allows two numbers, the smaller first."""
    if len(value) != 2 or value[0] > value[1]:
        raise InputError(f"{name} is two numbers, the smaller first, not {value!r}")


def distinct_names(name: str, value: tuple[str, ...]) -> None:
    """Allows names of classes: columns, such as votes_calm, bear them in lower case."""
    if len(value) < 2 or len({one.lower() for one in value}) < len(value):
        raise InputError(
            f"{name} are two or more names that differ in more than case, not {value!r}"
        )
    plain_names(name, value)


def known_space(name: str, value: str) -> None:
    """Allows the named spaces, and files of the user's own."""
    if value not in SPACES and not value.endswith(".npz"):
        raise InputError(
            f"{name} is {', '.join(SPACES)} or a file that ends in .npz, not {value!r}"
        )


def known_parts(name: str, value: tuple[str, ...]) -> None:
    """Allows one or several parts of a face, each once."""
    if not value or len(set(value)) < len(value) or not set(value) <= set(LANDMARK_PARTS):
        raise InputError(
            f"{name} are one or more of {', '.join(LANDMARK_PARTS)}, comma separated, each once; "
            f"not {','.join(value)!r}"
        )


def plain_names(name: str, value: Sequence[str]) -> None:
    """Allows names that are none of a list's own signs: brackets, quotes, a comma too many."""
    for one in value:
        if (
            one != one.strip()
            or "," in one
            or not one
            or one[0] in "[({\"'`"
            or one[-1] in "]}\"'`"
        ):
            raise InputError(
                f"{name} has the name {one!r}: give names, none empty, with a comma between two "
                "and nothing around them, as Calm,Glad"
            )


def checkpoint_interval(name: str, value: str) -> tuple[int, float]:
    """Returns (steps, minutes) of --checkpoint_every; 0 for what it does not name.

    Raises:
      InputError: it is not a number of steps, a number of minutes with an m behind, or one of each.
    """
    found: dict[str, float] = {}
    for part in value.split(","):
        number = part.strip()
        unit = "minutes" if number.endswith("m") else "steps"
        try:
            count = float(number.removesuffix("m")) if unit == "minutes" else int(number)
        except ValueError:
            count = -1
        if unit in found or not 0 <= count < float("inf"):
            raise InputError(
                f"{name} is a number of steps as 500, of minutes as 10m, or one of each "
                f"as 500,10m; not {value!r}"
            )
        found[unit] = count
    return int(found.get("steps", 0)), found.get("minutes", 0.0)


def _numbers(value: Any) -> list[float]:
    """Returns the numbers in a value: itself, those of a tuple, or none."""
    return [v for v in (value if isinstance(value, tuple) else (value,)) if _is_of(v, float)]


def _is_of(value: Any, kind: Any) -> bool:
    """Returns whether a value is of a setting's declared kind; numbers are finite."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_of(v, get_args(kind)[0]) for v in value)
    if get_args(kind):  # float | None
        return any(_is_of(value, one) for one in get_args(kind))
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and abs(value) < 1e300  # neither NaN nor infinite
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
    return isinstance(value, kind) and "\0" not in str(value)


def check_frozen(network: "NetworkConfig") -> None:
    """Raises InputError for a backbone that is to be kept and has no weights of its own."""
    if network.frozen and not network.pretrained:
        raise InputError(
            "--frozen, which --preset=frozen sets, needs --pretrained=FILE.onnx, the weights that "
            "are kept. See docs/training.md for a MobileFaceNet's, or take --preset=small."
        )
