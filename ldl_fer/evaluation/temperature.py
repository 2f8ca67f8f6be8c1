"""Calibrates confidence by temperature scaling: fits T on validation data, keeps it with the run.

T is in temperature.json of the run folder, where predictions and exports find it.
"""

import json
from pathlib import Path

import numpy as np
from scipy.special import softmax, xlogy

from ldl_fer.errors import InputError
from ldl_fer.files import without_home, write_whole

BOUNDS = (0.05, 20.0)  # of T
TEMPERATURE_FILE = "temperature.json"
LEAST_ROWS, GOOD_ROWS = 10, 50  # to fit on: fewer are refused, or warned of
_SMALLEST = 1e-45  # float32's: less is 0 in an export's probabilities


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Scales distributions to another temperature: softmax(log p / T) (Guo et al., 2017).

    log p is the logits z less a number per row, which softmax does not see: the result is
    softmax(z / T) without a need for z.

    Args:
      probabilities: [N, C], >= 0, rows sum to 1.
      temperature: T > 0; 1 changes nothing.

    Returns:
      [N, C] float64, rows sum to 1.

    Raises:
      ValueError: T is not above 0.
    """
    if not 0.0 < temperature < np.inf:
        raise ValueError(f"a temperature is above 0, not {temperature}")
    log_probabilities = np.log(np.maximum(np.asarray(probabilities, np.float64), _SMALLEST))
    return softmax(log_probabilities / temperature, axis=-1)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Computes -sum_j p_j log p_j of distributions [..., C], in nats: [...] in [0, log C]."""
    return -xlogy(probabilities, probabilities).sum(axis=-1)


def fit(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Fits the temperature with the smallest mean -log p(label), in `BOUNDS`, over log T.

    Args:
      labels: [N], integers in [0, C).
      probabilities: [N, C], a network's own, rows sum to 1.

    Returns:
      T, without unit.
    """
    from scipy.optimize import minimize_scalar  # predictions need no fit, and start sooner

    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        given = scaled(probabilities, np.exp(log_temperature))[rows, labels]
        return -np.log(np.maximum(given, np.finfo(float).tiny)).mean()

    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def confidence_quality(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Computes `nll` (nats) and `expected_calibration_error` ([0, 1]), see `metrics`."""
    from ldl_fer.evaluation.metrics import classification_metrics

    found = classification_metrics(labels, probabilities)
    return {name: found[name] for name in ("nll", "expected_calibration_error")}


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
      trust_model: see `training.run.load_network`.

    Returns:
      The content of the file: `temperature`; `before` and `after`, of `confidence_quality`; `rows`,
      `data_path`, and `best`, of `Run.epoch`.

    Raises:
      InputError: no such run, or data that cannot be read, does not fit it or is too little.
    """
    from ldl_fer.data.pipeline import ordered_dataset
    from ldl_fer.data.sets import Source, opener, training_sources
    from ldl_fer.evaluation.evaluate import predict
    from ldl_fer.methods import training_data
    from ldl_fer.networks.head import trained_part
    from ldl_fer.training.run import Run, load_network

    network, config = load_network(run_dir, trust_model=trust_model)
    source: Source = (data_path, image_dir, 0, None)
    if not data_path:
        _, source = training_sources(training_data(config), config.run.seed)
    records = opener(network, config.network.frozen)(config.data, *source)
    if len(records) < LEAST_ROWS:
        raise InputError(
            f"{source[0]}: {len(records)} images to fit a temperature on, where {LEAST_ROWS} are "
            f"the least and {GOOD_ROWS} or more are wanted. Give others by --val_data_path."
        )
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
        "data_path": without_home(source[0]),
        "held_out_part": not (data_path or config.data.val_data_path),
        "best": Run(run_dir).epoch("best"),
    }
    write_whole(Path(run_dir) / TEMPERATURE_FILE, json.dumps(content, indent=2) + "\n")
    return content


def read_temperature(file: str | Path) -> float | None:
    """Reads `temperature` of a JSON file: a run's temperature.json, an export's info.json.

    Returns:
      T, above 0; None if there is no such file or no such entry in it.

    Raises:
      InputError: the file is damaged, or its entry is no temperature.
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
    """Returns whether the run's best epoch is another than its temperature was fitted for."""
    from ldl_fer.training.run import Run

    file = Path(run_dir) / TEMPERATURE_FILE
    return file.exists() and json.loads(file.read_text()).get("best") != Run(run_dir).epoch("best")
