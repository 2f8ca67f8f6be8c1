"""The presets: the paper's settings, the released code's, and our own for small machines."""

from typing import Any

from ldl_fer.config import Config
from ldl_fer.config.methods import METHOD_SETTINGS

_PAPER = Config()
_RELEASED = _PAPER.replace(
    erase_probability=0.5,
    neighbors="forward",
    similarity_kernel="laplace",
    calibration_normalization="batch",
    calibration_floor=-1.3,
    uncertainty_form="logit",
    uncertainty_init=0.5,
    log_epsilon=1e-10,
    gamma=0.01,
    center_rows="main_and_neighbors",
    separation_kernel="unordered",
    separation_in_loss=False,
    separation_weight=0.1,
    epochs=60,
)
PRESETS = {
    "paper": _PAPER,
    "released_raf_resnet50": _RELEASED.replace(
        image_size=112, pad=4, learning_rate=1e-4, decay_epochs=(10, 30)
    ),
    "released_raf_resnet18": _RELEASED.replace(
        backbone="resnet18", pad=8, decay_epochs=(10, 20, 40)
    ),
    "released_affectnet_resnet18": _RELEASED.replace(
        backbone="resnet18",
        pad=8,
        learning_rate=3e-4,
        decay_epochs=(5, 10, 20),
        decay_factor=0.2,
        uncertainty_init=0.8,
        uncertainty_momentum=0.9,
        class_weights="balanced",
    ),
    # A few minutes on a CPU: the paper's lambda, the released code's normalization and centers.
    "small": _RELEASED.replace(
        backbone="small_cnn",
        image_size=48,
        pad=4,
        erase_probability=0.0,
        neighbors="bank",
        uncertainty_form="direct",
        uncertainty_init=0.0,
        uncertainty_learning_rate=2.5,
        epochs=15,
        decay_epochs=(10,),
    ),
}
_SMALL = PRESETS["small"]
PRESETS |= {
    # Whole tables in minutes on a CPU; add --pretrained=MobileFaceNet.onnx.
    "frozen": _SMALL.replace(
        backbone="mobilefacenet",
        rectifier="relu6",
        frozen=True,
        image_size=112,
        pad=0,
        dropout=0.5,
        batch_size=64,
        epochs=25,
        decay_epochs=(),
        uncertainty_form="logit",
        uncertainty_init=0.5,
        uncertainty_learning_rate=50.0,
    ),
    # The same file as a start for all weights; add --pretrained=MobileFaceNet.onnx.
    "fine_tuned": _SMALL.replace(
        backbone="mobilefacenet",
        rectifier="relu6",
        backbone_rate_factor=0.1,
        uncertainty_form="logit",
        uncertainty_init=0.5,
        uncertainty_learning_rate=25.0,
        epochs=10,
        decay_epochs=(8,),
    ),
}


def replaced(config: Config, settings: dict[str, Any]) -> Config:
    """Returns the configuration with other settings; a method brings what its paper sets, too.

    Args:
      config: where all else comes from.
      settings: name -> value. They win over what `method` among them brings.

    Raises:
      InputError: as `Config.replace`.
    """
    method = METHOD_SETTINGS.get(str(settings.get("method")))
    return config.replace(**((dict(method.beside) if method else {}) | settings))
