"""What a setting may be: kind, choices, range. `ldl_fer.config` applies it wherever one is set."""

from typing import Any, get_args, get_origin

from ldl_fer.errors import InputError
from ldl_fer.settings import MethodConfig

_POSITIVE = {
    *("batch_size", "epochs", "num_neighbors", "image_size", "delta", "learning_rate"),
    *("head_units", "erase_aspect"),
}
_RANGES = {"erase_area", "erase_aspect"}
_ANY_SIGN = {"uncertainty_init", "calibration_floor"}
_SHARES = {
    "validation_fraction",
    "erase_probability",
    "erase_area",
    "fixed_uncertainty",
    "uncertainty_momentum",
    "dropout",
    "bank_device_share",
    "smoothing",
    "scn_high_share",
    "scn_rank_weight",
}
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


def check_setting(name: str, value: Any, kind: Any, choices: tuple[str, ...] = ()) -> None:
    """Checks one setting by itself.

    Args:
      name: of the setting; it tells the range.
      value: what it is to become.
      kind: its declared type, a key of `KINDS`.
      choices: the only values allowed; empty: no choice among few.

    Raises:
      InputError: the value is of another kind, out of range or not among the choices.
    """
    if not _is_of(value, kind):
        raise InputError(f"{name} is {KINDS[kind]}, not {value!r}")
    if name in _RANGES and not (len(value) == 2 and value[0] <= value[1]):
        raise InputError(f"{name} is two numbers, the smaller first, not {value!r}")
    if name == "class_names":
        _check_class_names(value)
    if choices and value not in choices:
        raise InputError(f"{name} is one of {', '.join(choices)}, not {value!r}")
    if name == "checkpoint_every":
        checkpoint_interval(value)
    numbers = [v for v in (value if isinstance(value, tuple) else (value,)) if _is_of(v, float)]
    if name in _POSITIVE and min(numbers, default=1) <= 0:
        raise InputError(f"{name} must be above 0, not {value}")
    if name not in _ANY_SIGN and min(numbers, default=0) < 0:
        raise InputError(f"{name} must not be negative, as {value} is")
    if name in _SHARES and max(numbers, default=0) > 1:
        raise InputError(f"{name} must not be above 1, as {value} is")


def check_method(method: MethodConfig) -> None:
    """Checks those of LDLVA's settings that depend on each other.

    Raises:
      InputError: lambda itself is the variable, and starts outside of [0, 1].
    """
    start = method.uncertainty_init
    if method.uncertainty_form == "direct" and not 0 <= start <= 1:
        raise InputError(
            f"uncertainty_init is {start}, and with uncertainty_form direct it is lambda, which "
            "lies in [0, 1]; give such a number, or uncertainty_form logit"
        )


def checkpoint_interval(text: str) -> tuple[int, float]:
    """(steps, minutes) of --checkpoint_every; 0 for what it does not name.

    Raises:
      InputError: it is not a number of steps, a number of minutes with an m behind, or one of each.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        number = part.strip()
        unit = "minutes" if number.endswith("m") else "steps"
        try:
            value = float(number.removesuffix("m")) if unit == "minutes" else int(number)
        except ValueError:
            value = -1
        if unit in found or not 0 <= value < float("inf"):
            raise InputError(
                "checkpoint_every is a number of steps as 500, of minutes as 10m, or one of each "
                f"as 500,10m; not {text!r}"
            )
        found[unit] = value
    return int(found.get("steps", 0)), found.get("minutes", 0.0)


def _check_class_names(names: tuple[str, ...]) -> None:
    """Columns of a class, as votes_calm, bear its name in lower case."""
    if len(names) < 2 or len({name.lower() for name in names}) < len(names):
        raise InputError(
            f"class_names are two or more names that differ in more than case, not {names!r}"
        )


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a setting's declared kind; numbers are finite."""
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
