r"""Draws the paper's Figures 3 to 6 from a run: its label distributions and its predictions.

  ldl-fer figures --run_dir=checkpoints/mine \
      --test_data_path=test.csv --test_image_dir=images

  figure_3_distributions.png   training faces with given label, aggregated and target distribution
  figure_4_neighbors.png       faces with their neighbors' calibration and contribution
  figure_5_predictions.png     test faces with given label and prediction; needs the test set
  figure_6_uncertainty.png     lambda where labels are right and wrong, and the faces at both ends

Human votes (columns votes_*) are shown where there are any. Figures 3 and 4 show training faces
drawn at random, half of them from the quarter with the highest lambda; Figure 5 draws from the
whole test set. Another --seed draws others. Right and wrong in Figure 6 is by the column
clean_expression of `ldl-fer noise`; without it, by how many people voted for the label;
without votes, by whether the network agrees with it. Figures 3, 4 and 6 need LDLVA.
"""

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.settings import RunConfig


def run() -> None:
    """Starts `ldl-fer figures`."""
    command_line.start(main, _define_flags, __doc__)


def main() -> None:
    from ldl_fer.data.paths import check_data, check_images
    from ldl_fer.training.run import Run

    given = flags.FLAGS
    Run(given.run_dir).config()
    Run(given.run_dir).check_samples()
    check_data(given.test_data_path)
    check_images(given.test_data_path, given.test_image_dir)

    from ldl_fer.evaluation.figures.figures import paper_figures, write_figures

    test = (given.test_data_path, given.test_image_dir) if given.test_data_path else None
    drawn = paper_figures(
        given.run_dir,
        given.count,
        given.seed,
        test,
        given.train_data_path,
        given.train_image_dir,
    )
    write_figures(drawn, given.output_dir or Run(given.run_dir).folder / "figures")
    for note in drawn.notes:
        print(f"note: {note}")


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", RunConfig().run_dir, "Folder of a run of ldl-fer train.")
    flags.DEFINE_string("output_dir", None, "Where to. (default: RUN_DIR/figures)")
    flags.DEFINE_integer("count", 8, "Faces of a figure; Figure 4 shows at most 5.", 2)
    flags.DEFINE_integer("seed", 0, "Another seed draws other faces.", 0)
    flags.DEFINE_string("test_data_path", "", "Annotation CSV of the test set, for Figure 5.")
    flags.DEFINE_string("test_image_dir", "", "Folder that the paths in that CSV start from.")
    flags.DEFINE_string(
        "train_data_path", None, "The CSV trained on. (default: where the run found it)"
    )
    flags.DEFINE_string(
        "train_image_dir", None, "Folder of the training pictures. (default: where they were)"
    )
