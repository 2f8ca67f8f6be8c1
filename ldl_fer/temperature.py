"""The temperature of a run, kept in its folder; `ldl_fer.temperature_scaling` has the formula."""

import json
from pathlib import Path

import numpy as np

from ldl_fer.errors import InputError
from ldl_fer.files import write_whole
from ldl_fer.temperature_scaling import confidence_quality, fit, scaled
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
    from ldl_fer.networks.head import trained_part
    from ldl_fer.evaluation import predict
    from ldl_fer.methods import training_data
    from ldl_fer.pipeline import ordered_dataset
    from ldl_fer.runs import Run, load_network
    from ldl_fer.splits import Source, opener, training_sources

    network, config = load_network(run_dir, trust_model=trust_model)
    source: Source = (data_path, image_dir, 0, None)
    if not data_path:
        _, source = training_sources(training_data(config), config.run.seed)
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
