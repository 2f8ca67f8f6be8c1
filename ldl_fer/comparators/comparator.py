"""What the comparators have in common: how they are made."""

from typing import Any

import tensorflow as tf

from ldl_fer.classifier import Classifier
from ldl_fer.settings import ComparatorConfig


class Comparator(Classifier):
    """A method beside LDLVA.

    Attributes:
      settings: constants of all comparators.
      steps_per_epoch: for methods that change with the epoch.
    """

    def __init__(
        self,
        network: tf.keras.Model,
        settings: ComparatorConfig,
        num_samples: int,
        steps_per_epoch: int,
        **shared: Any,
    ) -> None:
        """Makes the model; `shared` is as for `Classifier`."""
        super().__init__(network, num_samples, name=settings.method, **shared)
        self.settings = settings
        self.steps_per_epoch = steps_per_epoch
        self.add_parts()

    def add_parts(self) -> None:
        """Makes the method's own layers and variables; none here."""
