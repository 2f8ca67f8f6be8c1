"""Measures the cost of LDLVA: training steps, input pipeline, evaluation, export, memory.

  python -m benchmarks                          all but size, size_frozen, gpu_*: a quarter hour
  python -m benchmarks --sections=steps_small             one section
  python -m benchmarks --sections=steps_small --data=train.csv --image_dir=images
  python -m benchmarks --sections=size --work_dir=/mnt/large

Everything is a ratio within this one run. The variants of a section take turns in one process: a
turn runs each for a few steps, in an order that rotates. A line gives a variant's median time, and
the median over turns of its ratio to the unit, the variant named behind the "x". So a machine
whose speed drifts hits all alike, and only times, not ratios, depend on it. Run it idle even so.

Sections:
  steps_small     a training step of small_cnn, 48 px: plain cross-entropy (the unit), the bank with
                  K 8, 16, 32, and forward K 8; reading, decoding and augmentation included
  steps_resnet50  the same for ResNet-50, 112 px
  steps_head      the same for a frozen backbone's head, inputs in memory
  steps_methods   the same for every --method, small_cnn, 48 px, K 8
  pipeline        the input pipeline alone beside decoding alone, 48 px and 112 px
  inference       evaluation and the exported model beside a bare forward pass of the network
  start_up        --help of the slowest command, and predict of one photo from an export: seconds of
                  processors
  pooled          the pooled maps of a frozen MobileFaceNet beside the bare backbone, 112 px
  size            a made-up AffectNet (--rows) from CSV through neighbors and shards to training,
                  with the memory of each stage, and its step beside one on 12,271 rows; many
                  minutes, and some 14 KB of disk a row, half of it in small files
  size_frozen     training of a head on pooled maps of as many rows, 4,608 numbers a view, read from
                  a file: memory
  gpu_one, gpu_xla, gpu_several
                  a training step of ResNet-50, 112 px, on one GPU and on all: benchmarks/gpu.sh

A target that is not reached is shown as MISSED and the exit code is 0 all the same: this measures,
it does not judge. The exit code is 1 where a section could not be measured.
"""

import contextlib
import logging
import tempfile
from pathlib import Path

from absl import flags

from ldl_fer.config import command_line

NAMES = (
    "steps_small",
    "steps_resnet50",
    "steps_head",
    "steps_methods",
    "pipeline",
    "inference",
    "start_up",
    "pooled",
    "size",
    "size_frozen",
    "gpu_one",
    "gpu_xla",
    "gpu_several",
)
_ON_GPUS = NAMES[NAMES.index("gpu_one") :]
_SIZES = "size", "size_frozen"
_ASKED_FOR = *_SIZES, *_ON_GPUS


def run() -> None:
    """Starts `python -m benchmarks`."""
    command_line.start(main, _define_flags, __doc__)


def main() -> int:
    from benchmarks.report import run_sections

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # variants are compiled one by one
    given = flags.FLAGS
    common = {"turns": given.turns, "steps": given.steps}
    common = {name: value for name, value in common.items() if value is not None}
    settings = {name: dict(common) for name in NAMES}
    settings["steps_small"] |= {"data": given.data, "image_dir": given.image_dir}
    if given.rows is not None:
        for name in _SIZES:
            settings[name] |= {"rows": given.rows}
    if given.tiny:
        from benchmarks.gpu import TINY

        for name in _ON_GPUS:
            settings[name] |= {"config": TINY, "rows": 64}
    if given.seconds is not None:
        for name in _ON_GPUS:
            settings[name] |= {"seconds": given.seconds}
    with contextlib.ExitStack() as stack:
        if given.work_dir:
            folder = Path(given.work_dir)
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ldl_fer-")))
        report, measured = run_sections(given.sections, folder, given.output, settings)
    print(f"\n{report}\n\nThe same as JSON: {given.output}")
    return 0 if measured else 1


def _define_flags() -> None:
    flags.DEFINE_list(
        "sections",
        [name for name in NAMES if name not in _ASKED_FOR],
        f"Which of {', '.join(NAMES)}, in the order given.",
    )
    flags.DEFINE_integer(
        "turns",
        None,
        "Turns that every variant has. (default: 12; 8 for resnet50 and inference, 3 for start_up "
        "and pooled)",
        1,
    )
    flags.DEFINE_integer(
        "steps",
        None,
        "Steps, or batches, of a variant in a turn. (default: 8 for steps_small, 1 for "
        "steps_resnet50, 20 for steps_head and size, 1,000 for size_frozen, 64 for pipeline, "
        "64 and 4 for inference, 16 for gpu_*)",
        1,
    )
    flags.DEFINE_bool("tiny", False, "Sizes of gpu_* that only show that they run, on a CPU too.")
    flags.DEFINE_float(
        "seconds",
        None,
        "What each of gpu_* may take once TensorFlow has started; what does not fit is named. "
        "(default: 200 for gpu_one, 90 for gpu_xla, 150 for gpu_several)",
        0.0,
    )
    flags.DEFINE_string("output", "checkpoints/benchmark.json", "Where the JSON goes.")
    flags.DEFINE_integer(
        "rows",
        None,
        "Pictures of the made-up AffectNet of `size` and `size_frozen`. (default: as many as it "
        "has to train on)",
        64,
    )
    flags.DEFINE_string(
        "work_dir", None, "Where pictures and records go, and stay. (default: a temporary folder)"
    )
    flags.DEFINE_string("data", "", "Annotation CSV for steps_small, instead of made-up pictures.")
    flags.DEFINE_string("image_dir", "", "Folder that the paths in --data start from.")
    flags.register_validator(
        "sections",
        lambda names: names and set(names) <= set(NAMES),
        message=f"must name some of {', '.join(NAMES)}",
    )


if __name__ == "__main__":
    run()
