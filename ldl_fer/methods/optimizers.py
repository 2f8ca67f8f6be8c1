"""Optimizers of a run: Adam for the network, SGD on touched rows for lambda, the schedule."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ldl_fer.config.settings import OptimizerConfig
from ldl_fer.methods.replicas import write_rows

_EPSILON = 1e-7  # of Adam


class UncertaintySGD(tf.Module):
    """SGD for a variable of which a step touches a few rows: the others, momentum too, rest.

      velocity_i <- momentum velocity_i - rate g_i
      value_i    <- value_i + velocity_i,  then clipped to [0, 1] where lambda itself is the value

    Le et al. leave lambda's optimizer open; this is the released code's, which has no clipping.

    Attributes:
      velocity: [N], zeros at first; None without momentum.
    """

    def __init__(
        self, value: tf.Variable, rate: float, momentum: float = 0.0, project: bool = False
    ) -> None:
        """Makes the optimizer.

        Args:
          value: [N], the variable that it moves.
          rate: step size.
          momentum: in [0, 1).
          project: whether touched rows are clipped to [0, 1] after the step.
        """
        super().__init__()
        self.value, self.rate, self.momentum, self.project = value, rate, momentum, project
        self.velocity = tf.Variable(tf.zeros(value.shape), trainable=False) if momentum else None

    def step(
        self, sample_ids: tf.Tensor, gradient: tf.Tensor, applied: tf.Tensor | None = None
    ) -> None:
        """Moves rows of all replicas; in a replica's context.

        Args:
          sample_ids: [B]; none occurs twice, on any replica.
          gradient: [B].
          applied: as `replicas.write_rows` takes it.
        """
        velocity, kept = -self.rate * gradient, []
        if self.velocity is not None:
            velocity += self.momentum * tf.gather(self.velocity, sample_ids)
            kept = [(self.velocity, velocity)]
        value = tf.gather(self.value, sample_ids) + velocity
        if self.project:
            value = tf.clip_by_value(value, 0.0, 1.0)
        write_rows(sample_ids, [(self.value, value), *kept], applied=applied)


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
        """Returns the arguments of an equal optimizer for the same variables."""
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
    """Makes Adam with the configured first learning rate; `learning_rate` gives the later ones.

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


def learning_rate(config: OptimizerConfig, epoch: int) -> float:
    """Returns the network's learning rate in an epoch, counted from 0.

    learning_rate * decay_factor ^ (number of decay epochs that have passed)
    """
    passed = sum(epoch >= boundary for boundary in config.decay_epochs)
    return config.learning_rate * config.decay_factor**passed
