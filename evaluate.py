"""Evaluates the network of a run on annotated faces: result.json, a table, a confusion matrix.

  python evaluate.py --run_dir=checkpoints/mine --test_data_path=data/test.csv \
      --test_image_dir=data/images

With `votes_*` columns in the CSV, distances to the human distribution are reported too.
"""

from absl import flags

from ldl_fer import command_line
from ldl_fer.errors import InputError
from ldl_fer.settings import TRUST_HELP, RunConfig


def main() -> None:
    from ldl_fer.evaluation import evaluate_run
    from ldl_fer.evaluation_result import format_table

    FLAGS = flags.FLAGS
    if not FLAGS.test_data_path:
        raise InputError("give --test_data_path, an annotation CSV or a folder of shards.")
    result = evaluate_run(
        FLAGS.run_dir,
        FLAGS.test_data_path,
        FLAGS.test_image_dir,
        which=FLAGS.weights,
        output_dir=FLAGS.output_dir or FLAGS.run_dir,
        trust_model=FLAGS.trust_model,
        on_bad_image=FLAGS.on_bad_image,
    )
    print(format_table(result))


if __name__ == "__main__":
    flags.DEFINE_string("run_dir", RunConfig().run_dir, "Folder of the run, as train.py wrote it.")
    flags.DEFINE_string("test_data_path", "", "Annotation CSV of the test images, or shards.")
    flags.DEFINE_string("test_image_dir", "", "Folder that the paths in the CSV start from.")
    flags.DEFINE_enum("weights", "best", ["best", "last"], "Which epoch's network.")
    flags.DEFINE_string("output_dir", "", "Where result.json goes; empty: the run folder.")
    flags.DEFINE_enum(
        "on_bad_image", None, ["fail", "skip"], "As for train.py. (default: what the run had)"
    )
    flags.DEFINE_bool("trust_model", False, TRUST_HELP)
    command_line.start(main)
