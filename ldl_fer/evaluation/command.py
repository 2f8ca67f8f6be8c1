"""Evaluates the network of a run on annotated faces: a table, result.json and two figures.

  ldl-fer evaluate --run_dir=checkpoints/mine --test_data_path=data/test.csv \
      --test_image_dir=data/images

With `votes_*` columns in the CSV, distances to the human distribution are reported too.
"""

import sys

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.settings import TRUST_HELP, RunConfig
from ldl_fer.errors import InputError


def run() -> None:
    """Starts `ldl-fer evaluate`."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", RunConfig().run_dir, "Folder of a run of ldl-fer train.")
    flags.DEFINE_string("test_data_path", "", "Annotation CSV of the test images, or shards.")
    flags.DEFINE_string("test_image_dir", "", "Folder that the paths in the CSV start from.")
    flags.DEFINE_enum("weights", "best", ["best", "last"], "Which epoch's network.")
    flags.DEFINE_string("output_dir", "", "Where result.json goes; empty: the run folder.")
    flags.DEFINE_enum(
        "on_bad_image",
        None,
        ["fail", "skip"],
        "As for `ldl-fer train`. (default: what the run had)",
    )
    flags.DEFINE_bool("trust_model", False, TRUST_HELP)


def main() -> None:
    from ldl_fer.data.paths import check_data, check_images
    from ldl_fer.training.run import Run

    given = flags.FLAGS
    if not given.test_data_path:
        raise InputError("give --test_data_path, an annotation CSV or a folder of shards.")
    Run(given.run_dir).check_weights(given.weights)
    check_data(given.test_data_path)
    check_images(given.test_data_path, given.test_image_dir)

    from ldl_fer.evaluation.evaluate import evaluate_run
    from ldl_fer.evaluation.result import format_table, former_result

    output_dir = given.output_dir or given.run_dir
    former = former_result(output_dir)
    result = evaluate_run(
        given.run_dir,
        given.test_data_path,
        given.test_image_dir,
        which=given.weights,
        output_dir=output_dir,
        trust_model=given.trust_model,
        on_bad_image=given.on_bad_image,
    )
    print(format_table(result))
    if former:
        print(f"note: replaced {former}. --output_dir keeps several.", file=sys.stderr)
