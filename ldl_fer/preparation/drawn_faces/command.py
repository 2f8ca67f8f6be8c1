"""Draws schematic faces, with the true label distribution of each known exactly.

    ldl-fer drawn_faces --output_dir=data/drawn_faces

It holds train.csv, test.csv and images/; the distributions are in the columns votes_*. The same
flags make the same files.
"""

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.preparation.drawn_faces.data_set import SEED, SIZE, TEST, TRAIN, draw_faces


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    flags.DEFINE_string("output_dir", "data/drawn_faces", "Folder to write; missing or empty.")
    flags.DEFINE_integer("train", TRAIN, "Number of training faces.")
    flags.DEFINE_integer("test", TEST, "Number of test faces.")
    flags.DEFINE_integer("size", SIZE, "Height and width of the images, pixels.")
    flags.DEFINE_integer("seed", SEED, "Another seed is another set of people.")


def main() -> None:
    given = flags.FLAGS
    draw_faces(given.output_dir, given.train, given.test, given.size, given.seed)
    print(f"{given.output_dir}: {given.train} training and {given.test} test faces")
