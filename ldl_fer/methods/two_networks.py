"""Two networks of one make that are trained at once: what one learns wrong, the other may not."""

from typing import Any

import tensorflow as tf

from ldl_fer.methods.classifier import Classifier
from ldl_fer.networks.head import backbone_variables
from ldl_fer.networks.network import starts_learned


def drawn_anew(network: tf.keras.Model, seed: int, keep_backbone: bool) -> tf.keras.Model:
    """Returns a network of the same layers whose kernels are others, of the same deviation.

    Args:
      network: of `build_network`, or its head.
      seed: of the kernels, and of what dropout drops.
      keep_backbone: whether the kernels beneath the features are the same.
    """

    def copied(layer):
        settings = layer.get_config()
        if isinstance(layer, tf.keras.layers.Dropout):
            settings["seed"] = seed
        return layer.__class__.from_config(settings)

    made = tf.keras.models.clone_model(network, clone_function=copied)
    made.set_weights(network.get_weights())
    kept = {id(variable) for variable in backbone_variables(made)} if keep_backbone else set()
    for index, variable in enumerate(made.trainable_variables):
        if variable.shape.rank > 1 and id(variable) not in kept:
            drawn = tf.random.stateless_normal(variable.shape, seed=[seed, index])
            variable.assign(drawn * tf.math.reduce_std(variable))
    return made


class TwoNetworks(Classifier):
    """Trains two networks; `trained`, the first, is evaluated and kept.

    Attributes:
      second: of the layers of `trained`, with other first weights.
      run_second: `second` as steps call it.
    """

    def add_parts(self) -> None:
        learned = starts_learned(self.config.network)
        self.second = drawn_anew(self.trained, self.config.run.seed + 1, learned)
        self.run_second = self.runner(self.second)

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        return super().optimized_variables + self.second.trainable_variables

    @property
    def slow_variables(self) -> list[tf.Variable]:
        return super().slow_variables + backbone_variables(self.second)

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"second": self.second}
