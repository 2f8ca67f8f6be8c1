"""Fits one number that makes a trained network's confidence mean what it says.

See `ldl_fer.temperature_scaling` for the formula. The result is as good as the labels it is fitted
on: where validation labels are wrong (a part held out of a noisy training set), the network counts
as overconfident and the temperature comes out too large.

The temperature is kept as temperature.json in the run folder, where `python -m ldl_fer.predict`
and the exports find it. Run it after training:

    python -m ldl_fer.temperature --run_dir=checkpoints/mine
"""

import json
from pathlib import Path

import numpy as np
from absl import flags

from ldl_fer import command_line
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole
from ldl_fer.settings import TRUST_HELP, RunConfig
from ldl_fer.temperature_scaling import BOUNDS, confidence_quality, fit, scaled
from ldl_fer.told_paths import told

TEMPERATURE_FILE = "temperature.json"


def fit_run(
    run_dir: str | Path,
    data_path: str = "",
    image_dir: str = "",
    progress: bool = True,
    trust_model: bool = False,
) -> dict:
    """Fits the temperature of a run's best network and writes temperature.json into the run.

    Args:
      run_dir: the run folder.
      data_path: annotation CSV or shards to fit on; empty: the validation data that the run chose
        its epoch on, be it a file or a part held out of the training CSV.
      image_dir: folder that the CSV's paths start from.
      progress: whether to show a progress bar.
      trust_model: see `runs.load_network`.

    Returns:
      What was written: `temperature`; `before` and `after`, of `confidence_quality`; `rows`,
      `data_path`, and `best`, of `Run.epoch`.

    Raises:
      InputError: no such run, or data that cannot be read or does not fit it.
    """
    from ldl_fer.evaluation import predict
    from ldl_fer.networks.head import trained_part
    from ldl_fer.pipeline import ordered_dataset
    from ldl_fer.runs import Run, load_network
    from ldl_fer.splits import Source, opener, training_sources

    network, config = load_network(run_dir, trust_model=trust_model)
    source: Source = (data_path, image_dir, 0, None)
    if not data_path:
        _, source = training_sources(config.training_data, config.run.seed)
    records = opener(network, config.network.frozen)(config.data, *source)
    found = predict(trained_part(network), ordered_dataset(records, config), progress)
    labels, probabilities = found["labels"], found["probabilities"]
    if not np.isfinite(probabilities).all():
        raise InputError(f"The network of {run_dir} diverged: its output is not finite.")
    temperature = fit(labels, probabilities)
    content = {
        "temperature": temperature,
        "before": confidence_quality(labels, probabilities),
        "after": confidence_quality(labels, scaled(probabilities, temperature)),
        "rows": len(labels),
        "data_path": told(source[0]),
        "held_out_part": not (data_path or config.data.val_data_path),
        "best": Run(run_dir).epoch("best"),
    }
    write_whole(Path(run_dir) / TEMPERATURE_FILE, json.dumps(content, indent=2) + "\n")
    return content


def read_temperature(file: str | Path) -> float | None:
    """`temperature` in a JSON file: a run's temperature.json, an export's info.json.

    Returns:
      None if there is no such file or it does not tell.

    Raises:
      InputError: what it says is no temperature.
    """
    file = Path(file)
    if not file.exists():
        return None
    try:
        value = json.loads(file.read_text(encoding="utf-8")).get("temperature")
        if value is None:
            return None
        if 0.0 < float(value) < np.inf:
            return float(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is damaged: {error}. Write it again.") from error
    raise InputError(f"{file}: a temperature is above 0, not {value}. Write it again.")


def is_stale(run_dir: str | Path) -> bool:
    """Whether the run's best epoch is another than the one its temperature was fitted for."""
    from ldl_fer.runs import Run

    file = Path(run_dir) / TEMPERATURE_FILE
    return file.exists() and json.loads(file.read_text()).get("best") != Run(run_dir).epoch("best")


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", RunConfig().run_dir, "Folder of the run that train.py wrote.")
    flags.DEFINE_string(
        "val_data_path",
        "",
        "Annotation CSV (or folder of shards) to fit on, never the test set. (default: the "
        "validation data that the run chose its epoch on)",
    )
    flags.DEFINE_string("val_image_dir", "", "Folder that the paths in that CSV start from.")
    flags.DEFINE_bool("trust_model", False, TRUST_HELP)


def main() -> None:
    given = flags.FLAGS
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
    if not BOUNDS[0] * 1.01 < found["temperature"] < BOUNDS[1] / 1.01:
        print(f"\nwarning: the temperature is at the end of {BOUNDS}: do not trust it. Too few or "
              "too easy validation images?")  # fmt: skip
    print(f"\n{Path(given.run_dir) / TEMPERATURE_FILE}")


if __name__ == "__main__":
    _define_flags()
    command_line.start(main)
