"""Trains for minutes on end and watches whether memory or open files grow.

  python -m benchmarks.soak --minutes=20
  python -m benchmarks.soak --minutes=600 --data=train.csv --image_dir=images

A whole training as `ldl-fer train` does it, with a validation, pictures for TensorBoard and a
checkpoint after each epoch, and checkpoints within it. After every epoch it notes the process' own
resident memory (without pages of program files, which come and go), how much of it malloc has given
out, open files and threads, in --output. Python's small objects lie beside malloc, unless it is
started with PYTHONMALLOC=malloc. At the end it says how much both grew per 1,000 steps over the
last two thirds. Exit code 1: resident memory grew by more than --tolerance, or files or threads
became more.
"""

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from benchmarks.memory import PROCESS
from ldl_fer.config import command_line
from ldl_fer.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

ROWS = 12_271  # of RAF-DB's training set


def run() -> None:
    """Starts `python -m benchmarks.soak`."""
    command_line.start(main, _define_flags, __doc__)


def main() -> int:
    import pandas as pd

    from benchmarks.made_up_set import make_up_set
    from benchmarks.memory_watch import MemoryWatch
    from ldl_fer.config.presets import PRESETS
    from ldl_fer.training.train import train

    given = flags.FLAGS
    if not PROCESS.exists():
        raise InputError("the soak reads /proc, which this system does not have. Run it on Linux.")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ldl_fer-")))
        paths = given.data, given.image_dir
        config = PRESETS["small"]
        if not given.data:
            paths = make_up_set(folder / "set", given.rows, config.data.image_size)
        watch = MemoryWatch(given.minutes, given.output)
        config = config.replace(
            train_data_path=str(paths[0]),
            train_image_dir=str(paths[1]),
            records_dir=str(folder / "records"),
            run_dir=str(folder / "run"),
            epochs=10**6,
            checkpoint_every="100",
        )
        train(config, watch=watch)
    table = pd.read_csv(given.output)
    report, flat = report_of(table, given.tolerance)
    print(report)
    return 0 if flat else 1


def report_of(table: "pd.DataFrame", tolerance: float) -> tuple[str, bool]:
    """Reports on a soak.

    Args:
      table: columns minutes, steps, memory and in_use (bytes), files, threads; a row per epoch.
      tolerance: MB of growth per 1,000 steps that still count as flat.

    Returns:
      The report for a terminal, and whether all stayed flat.
    """
    late = table.iloc[len(table) // 3 :]
    steps = late["steps"] - late["steps"].mean()
    # Least squares: slope = sum (s - mean s) m / sum (s - mean s)^2
    growth = {
        name: 1000 * (steps * late[name]).sum() / max((steps**2).sum(), 1) / 1e6
        for name in ("memory", "in_use")
    }
    first, last = late.iloc[0], late.iloc[-1]
    more = {n: int(last[n] - first[n]) for n in ("files", "threads")}
    lines = [
        f"{len(table):,} epochs, {int(last['steps']):,} steps in {last['minutes']:.1f} minutes",
        *(
            _line(title, late[name], table[name].max(), growth[name])
            for title, name in (("memory", "memory"), ("given out by malloc", "in_use"))
        ),
        f"open files: {int(first['files'])}, then {int(last['files'])}; threads: "
        f"{int(first['threads'])}, then {int(last['threads'])}",
    ]
    return "\n".join(lines), growth["memory"] <= tolerance and max(more.values()) <= 0


def _line(title: str, late: "pd.Series", most: float, growth: float) -> str:
    return (
        f"{title}: {late.iloc[0] / 1e6:,.0f} MB after a third, {late.iloc[-1] / 1e6:,.0f} MB at "
        f"the end, most {most / 1e6:,.0f} MB; {growth:+.2f} MB per 1,000 steps"
    )


def _define_flags() -> None:
    flags.DEFINE_float("minutes", 20.0, "How long to train.", 0.0)
    flags.DEFINE_float("tolerance", 5.0, "MB of growth per 1,000 steps that count as flat.")
    flags.DEFINE_string("output", "checkpoints/soak.csv", "Where the table goes.")
    flags.DEFINE_integer("rows", ROWS, "Made-up pictures; fewer are shorter epochs.", 20)
    flags.DEFINE_string("data", "", "Annotation CSV, instead of made-up pictures.")
    flags.DEFINE_string("image_dir", "", "Folder that the paths in --data start from.")


if __name__ == "__main__":
    run()
