"""Temperature scaling: a network's distributions, made flatter or sharper by one number.

  p = softmax(z / T), T minimizes the mean of -log p(label) over validation data

(Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017.) T > 1
flattens distributions, T < 1 sharpens them; the order of the classes, so the accuracy, stays.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax, xlogy

from ldl_fer.metrics import classification_metrics

BOUNDS = (0.05, 20.0)  # of T
_SMALLEST = 1e-45  # float32's: less is 0 in an export's probabilities


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Distributions at another temperature: softmax(log p / T) (Guo et al., 2017).

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
    """-sum_j p_j log p_j of distributions [..., C], in nats: [...] in [0, log C]."""
    return -xlogy(probabilities, probabilities).sum(axis=-1)


def fit(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature in `BOUNDS` with the smallest mean -log p(label), searched over log T.

    Args:
      labels: [N], integers in [0, C).
      probabilities: [N, C], a network's own, rows sum to 1.
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        given = scaled(probabilities, np.exp(log_temperature))[rows, labels]
        return -np.log(np.maximum(given, np.finfo(float).tiny)).mean()

    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def confidence_quality(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """`nll` (nats) and `expected_calibration_error` ([0, 1]), see `metrics`."""
    found = classification_metrics(labels, probabilities)
    return {name: found[name] for name in ("nll", "expected_calibration_error")}
