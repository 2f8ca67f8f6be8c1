"""All sections of the benchmark, one after the other."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ldl_fer.benchmark.head_steps import steps_head
from ldl_fer.benchmark.inference import inference
from ldl_fer.benchmark.input_rate import pipeline
from ldl_fer.benchmark.report import machine, table, write_json
from ldl_fer.benchmark.rows import Row
from ldl_fer.benchmark.size import size
from ldl_fer.benchmark.steps import steps_resnet50, steps_small
from ldl_fer.errors import InputError

SECTIONS: dict[str, Callable[..., list[Row]]] = {
    section.__name__: section
    for section in (steps_small, steps_resnet50, steps_head, pipeline, inference, size)
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
      anything but a user's mistake is told of and passed over.

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
    """What a section measures: the first line of its documentation."""
    return str(SECTIONS[name].__doc__).partition("\n")[0]
