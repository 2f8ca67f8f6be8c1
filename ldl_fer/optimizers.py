"""Optimizers of a run: Adam for the network, SGD on touched rows for the uncertainty."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ldl_fer.settings import OptimizerConfig

_EPSILON = 1e-7  # of Adam


class UncertaintySGD(tf.keras.optimizers.legacy.SGD):
    """SGD for a variable of which a step touches a few rows: the others, momentum too, rest.

    (The newer Keras SGD lets the momentum of untouched rows decay and move them.)
    """

    def __init__(
        self, learning_rate: float, momentum: float = 0.0, project: bool = False, **kwargs: Any
    ) -> None:
        """Makes the optimizer.

        Args:
          learning_rate: step size.
          momentum: in [0, 1).
          project: whether touched rows are clipped to [0, 1] after the step.
          **kwargs: as for any Keras optimizer.
        """
        super().__init__(learning_rate, momentum, **kwargs)
        self._project = project

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "project": self._project}

    def build(self, variables: Sequence[tf.Variable]) -> None:
        """Makes counters and slots, which else come with the first step: checkpoints hold them."""
        self._create_all_weights(variables)

    def _resource_apply_sparse_duplicate_indices(self, grad, handle, indices, **kwargs):
        step = super()._resource_apply_sparse_duplicate_indices(grad, handle, indices, **kwargs)
        if not self._project:
            return step
        with tf.control_dependencies([step]):
            rows = tf.clip_by_value(tf.gather(handle, indices), 0.0, 1.0)
            return handle.scatter_update(tf.IndexedSlices(rows, indices))


class LayerwiseAdam(tf.keras.optimizers.Adam):
    """Adam that takes smaller steps in some variables.

    Adam's step is proportional to its learning rate, so a part of the step is the step of that
    part of the learning rate.
    """

    def __init__(
        self, learning_rate: float, slow: Sequence[tf.Variable], factor: float, **kwargs: Any
    ) -> None:
        """Makes the optimizer.

        Args:
          learning_rate: of the other variables.
          slow: those that take smaller steps.
          factor: of their learning rate.
          **kwargs: as for Adam.
        """
        super().__init__(learning_rate, **kwargs)
        self._slow_variables = list(slow)
        self._slow = {self._var_key(variable) for variable in slow}
        self._factor = factor

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes an equal optimizer of, for the same variables."""
        parts = {"slow": list(self._slow_variables), "factor": self._factor}
        return {**super().get_config(), **parts}

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        if self._var_key(variable) not in self._slow:
            super().update_step(gradient, variable)
            return
        before = tf.identity(variable)
        super().update_step(gradient, variable)
        variable.assign(before + self._factor * (variable - before))


def network_optimizer(
    config: OptimizerConfig, precision: str = "float32", backbone: Sequence[tf.Variable] = ()
) -> tf.keras.optimizers.Optimizer:
    """Adam with the configured first learning rate; `learning_rate` gives the later ones.

    With "mixed_float16" it scales the loss, so that small gradients are not rounded to zero, and
    leaves out a step whose gradients overflow.

    Args:
      config: step sizes.
      precision: as the network has it.
      backbone: variables that learn at `backbone_rate_factor` of the rate.
    """
    rate, factor = config.learning_rate, config.backbone_rate_factor
    if factor == 1.0:
        adam = tf.keras.optimizers.Adam(rate, epsilon=_EPSILON)
    else:
        adam = LayerwiseAdam(rate, backbone, factor, epsilon=_EPSILON)
    if precision == "mixed_float16":
        return tf.keras.mixed_precision.LossScaleOptimizer(adam)
    return adam


def uncertainty_optimizer(config: OptimizerConfig, form: str) -> UncertaintySGD:
    """SGD for lambda; the direct form is projected to [0, 1]."""
    return UncertaintySGD(
        config.uncertainty_learning_rate, config.uncertainty_momentum, project=form == "direct"
    )


def learning_rate(config: OptimizerConfig, epoch: int) -> float:
    """The network's learning rate in an epoch, counted from 0.

    learning_rate * decay_factor ^ (number of decay epochs that have passed)
    """
    passed = sum(epoch >= boundary for boundary in config.decay_epochs)
    return config.learning_rate * config.decay_factor**passed
