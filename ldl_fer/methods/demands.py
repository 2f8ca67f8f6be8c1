"""What a method asks for before its model is made: a network, data, files, other runs."""

from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.methods.bank import NeighborBank


class Demands:
    """The answers of a method that asks for nothing."""

    compares_samples: ClassVar[bool] = False  # A loss depends on the rest of the batch.
    least_of_each_class: ClassVar[int] = 0  # Samples of each class that a batch must have.
    looks_inside: ClassVar[bool] = False  # `losses` reads maps within the network.
    reads_annotators: ClassVar[bool] = False  # Who gave each label matters.

    @classmethod
    def complete(cls, network: tf.keras.Model, seed: int) -> tf.keras.Model:
        """Returns what a network of `build_network` becomes, to be trained and exported: itself.

        A method that adds layers to it draws their first weights by the seed.
        """
        return network

    @classmethod
    def compares_batch(cls, config: Config) -> bool:
        """Says whether a loss depends on the rest of the batch."""
        return cls.compares_samples

    @classmethod
    def confusion_file(cls, config: Config) -> str | None:
        """Names the file of `label_confusion`; empty: the training votes; None: it is not read."""
        return None

    @classmethod
    def teacher_runs(cls, config: Config) -> tuple[str, ...]:
        """Names the folders of finished runs whose networks it learns from; none here."""
        return ()

    @classmethod
    def constructs_targets(cls, config: Config) -> bool:
        """Says whether it has `constructed`, and its columns of samples.csv."""
        return False

    @classmethod
    def reads_neighbors(cls, config: Config) -> bool:
        """Says whether training batches hold the samples' neighbors."""
        return False

    @classmethod
    def runs_neighbors(cls, config: Config) -> bool:
        """Says whether they also hold the neighbors' images, for the network to be run on."""
        return False

    @classmethod
    def looks_up_outputs(cls, config: Config) -> bool:
        """Whether steps look up what the network said of other samples at their last visits."""
        return False

    @classmethod
    def visits_first(cls, config: Config) -> bool:
        """Says whether every training sample is to pass `visit` before the first step."""
        return cls.looks_up_outputs(config)

    @classmethod
    def host_bank(
        cls, config: Config, num_samples: int, size: int, fits: Callable[[int, float], bool]
    ) -> NeighborBank | None:
        """Makes the bank that `compile` takes, outside of the strategy's scope.

        Args:
          config: all settings.
          num_samples: N.
          size: V.
          fits: (bytes, share) -> whether so many are at most that share of a device's memory.

        Returns:
          A bank in the host's memory; None: it fits on the devices, or the method has none.
        """
        return None
