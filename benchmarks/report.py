"""Runs sections and reports: the machine, a table per section, and the same as JSON."""

import dataclasses
import datetime
import json
import os
import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import gpu_one, gpu_several, gpu_xla
from benchmarks.inference import inference
from benchmarks.input_rate import pipeline
from benchmarks.size import size, size_frozen
from benchmarks.start_up import pooled, start_up
from benchmarks.steps import steps_head, steps_methods, steps_resnet50, steps_small
from benchmarks.timing import GIGABYTES, SECONDS, Row
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole

_UNITS = {GIGABYTES: "of memory", SECONDS: "of processors"}
_VERDICTS = {None: "", True: "met", False: "MISSED"}


def machine() -> dict[str, Any]:
    """Names the machine: `cpu`, `cores`, `gpus`, `load`, `tensorflow`, `python`, `date`.

    `load` is the number of processes that wanted a core in the minute before: above 0 at the start
    means that the machine was not idle.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "gpus": [
            tf.config.experimental.get_device_details(g).get("device_name", g.name) for g in gpus
        ],
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
    }


def table(
    machine: Mapping[str, Any],
    titles: Mapping[str, str],
    rows: Sequence[Row],
    failed: Mapping[str, str],
) -> str:
    """Formats the report for a terminal.

    Args:
      machine: of `machine`.
      titles: section -> a sentence that says what it measures.
      rows: of all sections.
      failed: section -> why there are no rows of it.
    """
    gpus = f", {', '.join(machine['gpus'])}" if machine["gpus"] else ""
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores{gpus}; load at the start {machine['load']}",
        f"TensorFlow {machine['tensorflow']}, Python {machine['python']}, {machine['date']}",
    ]
    for section in dict.fromkeys([*(r.section for r in rows), *failed]):
        lines += ["", f"{section}: {titles[section]}"]
        if section in failed:
            lines.append(f"  FAILED: {failed[section]}")
        lines += _lines([r for r in rows if r.section == section])
    missed = [r for r in rows if r.met is False]
    held = sum(r.met is not None for r in rows)
    lines += ["", f"{held - len(missed)} of {held} targets met"]
    lines += [f"  missed: {r.section}: {r.variant}, {_ratio(r)} > {r.target:.3g}" for r in missed]
    return "\n".join(lines)


def write_json(
    path: str | Path, machine: Mapping[str, Any], rows: Sequence[Row], failed: Mapping[str, str]
) -> None:
    """Writes {"machine": ..., "rows": [...], "failed": {...}}, whole or not at all.

    Raises:
      InputError: it cannot be written.
    """
    content = {
        "machine": dict(machine),
        "rows": [dataclasses.asdict(r) for r in rows],
        "failed": dict(failed),
    }
    write_whole(path, json.dumps(content, indent=2) + "\n")


def _lines(rows: Sequence[Row]) -> list[str]:
    cells = [
        (
            r.variant,
            _time(r),
            _ratio(r),
            _unit(r),
            "" if r.target is None else f"<= {r.target:.3g}",
            _VERDICTS[r.met],
        )
        for r in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if place in (1, 2) else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]


def _time(row: Row) -> str:
    if row.per == "image":
        return f"{1 / row.seconds:,.0f} images/s"
    if row.per == "step":
        return f"{1e3 * row.seconds:,.1f} ms/step"
    return f"{row.seconds:,.1f} s"


def _ratio(row: Row) -> str:
    return f"{row.ratio:.2f} {row.unit}" if row.unit in _UNITS else f"{row.ratio:.3f}"


def _unit(row: Row) -> str:
    """Names what a ratio is to, and the middle half of the turns' ratios."""
    if row.unit in _UNITS:
        return _UNITS[row.unit]
    if row.unit == row.variant:
        return ""
    middle = "" if row.quartiles is None else " ({:.3f}-{:.3f})".format(*row.quartiles)
    return f"x {row.unit}{middle}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


SECTIONS: dict[str, Callable[..., list[Row]]] = {
    section.__name__: section
    for section in (
        steps_small,
        steps_resnet50,
        steps_head,
        steps_methods,
        pipeline,
        inference,
        start_up,
        pooled,
        size,
        size_frozen,
        gpu_one,
        gpu_xla,
        gpu_several,
    )
}


def run_sections(
    names: Sequence[str],
    folder: Path,
    output: str | Path,
    settings: dict[str, dict[str, Any]],
) -> tuple[str, bool]:
    """Runs sections; what is there of the JSON is written after each.

    Args:
      names: of `SECTIONS`.
      folder: where pictures and records go; exists.
      output: path of the JSON.
      settings: section -> arguments of its function beside the folder.

    Returns:
      The report for a terminal, and whether every section could be measured. One that fails with
      anything but a user's mistake is named and passed over.

    Raises:
      InputError: as the sections do.
    """
    rows, failed, here = [], {}, machine()
    for name in names:
        try:
            rows += SECTIONS[name](folder, **settings.get(name, {}))
        except InputError:
            raise
        except Exception as error:
            traceback.print_exc()
            failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        write_json(output, here, rows, failed)
    return table(here, {name: title(name) for name in names}, rows, failed), not failed


def title(name: str) -> str:
    """Returns the title of a section: the first line of its documentation."""
    return str(SECTIONS[name].__doc__).partition("\n")[0]
