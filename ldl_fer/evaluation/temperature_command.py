"""Fits one number that makes a trained network's confidence mean what it says.

    ldl-fer temperature --run_dir=checkpoints/mine

It is T of softmax(logits / T). The result is as good as the labels it is fitted on: where
validation labels are wrong (a part held out of a noisy training set), the network counts as
overconfident and the temperature comes out too large.

The temperature is kept as temperature.json in the run folder, where `ldl-fer predict` and the
exports find it. Run it after training.
"""

from pathlib import Path

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.settings import TRUST_HELP, RunConfig


def run() -> None:
    """Starts `ldl-fer temperature`."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", RunConfig().run_dir, "Folder of a run of ldl-fer train.")
    flags.DEFINE_string(
        "val_data_path",
        "",
        "Annotation CSV (or folder of shards) to fit on, never the test set. (default: the "
        "validation data that the run chose its epoch on)",
    )
    flags.DEFINE_string("val_image_dir", "", "Folder that the paths in that CSV start from.")
    flags.DEFINE_bool("trust_model", False, TRUST_HELP)


def main() -> None:
    from ldl_fer.data.paths import check_data
    from ldl_fer.training.run import Run

    given = flags.FLAGS
    Run(given.run_dir).check_weights("best")
    check_data(given.val_data_path)

    from ldl_fer.evaluation.temperature import BOUNDS, GOOD_ROWS, TEMPERATURE_FILE, fit_run

    found = fit_run(
        given.run_dir, given.val_data_path, given.val_image_dir, trust_model=given.trust_model
    )
    part = " (the part held out)" if found["held_out_part"] else ""
    print(f"{found['rows']:,} validation images of {found['data_path']}{part}\n")
    fitted = f"T = {found['temperature']:.3f}"
    print(f"{'':<34}{'T = 1':>10}{fitted:>12}")
    for name, title in (
        ("nll", "negative log-likelihood (nats)"),
        ("expected_calibration_error", "expected calibration error"),
    ):
        print(f"{title:<34}{found['before'][name]:>10.4f}{found['after'][name]:>12.4f}")
    if found["rows"] < GOOD_ROWS:
        print(f"\nwarning: {found['rows']} images are few to fit a temperature on: another "
              f"{found['rows']} may give another one. {GOOD_ROWS} or more are wanted.")  # fmt: skip
    if not BOUNDS[0] * 1.01 < found["temperature"] < BOUNDS[1] / 1.01:
        print(f"\nwarning: the temperature is at the end of {BOUNDS}: do not trust it. Too few or "
              "too easy validation images?")  # fmt: skip
    print(f"\n{Path(given.run_dir) / TEMPERATURE_FILE}")
