"""From settings to a model that is ready to train: network, method, optimizers."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ldl_fer import devices
from ldl_fer.bank import NeighborBank
from ldl_fer.classifier import Classifier
from ldl_fer.comparators import COMPARATORS
from ldl_fer.config import Config
from ldl_fer.model import LDLVA
from ldl_fer.networks.head import backbone_variables, trained_part
from ldl_fer.networks.network import build_network
from ldl_fer.optimizers import network_optimizer, uncertainty_optimizer
from ldl_fer.pipeline import steps_per_epoch
from ldl_fer.splits import AnyRecords


def build_model(
    config: Config,
    training: AnyRecords,
    strategy: tf.distribute.Strategy | None = None,
    network: tf.keras.Model | None = None,
) -> Classifier:
    """The compiled model of a run, its variables made in the scope of the strategy.

    A bank that is too large for the devices is made outside of it, in the host's memory.

    Args:
      config: all settings.
      training: the training set.
      strategy: None: the current one.
      network: of `build_network`, made in the strategy's scope; None: a new one.

    Raises:
      InputError: as `build_network`.
    """
    strategy = strategy or tf.distribute.get_strategy()
    method, classes = config.method, len(config.data.class_names)
    shared: dict[str, Any] = {
        "micro_batch_size": config.optimizer.micro_batch_size,
        "jit": config.run.jit,
    }
    if method.class_weights == "balanced":
        shared["class_weights"] = balanced_weights(training.class_counts)
    if network is None:
        with strategy.scope():
            network = build_network(
                config.network, config.data.image_size, classes, config.run.seed
            )
    if config.comparator.method in COMPARATORS:
        steps = steps_per_epoch(
            len(training), config.optimizer.batch_size, strategy.num_replicas_in_sync
        )
        make = COMPARATORS[config.comparator.method]
        with strategy.scope():
            model = make(network, config.comparator, len(training), steps, **shared)
            compile_model(model, config)
        return model
    bank, sizes = None, (len(training), trained_part(network).outputs[0].shape[-1], classes)
    if method.label_distribution and method.neighbors == "bank":
        size = NeighborBank.bytes_needed(*sizes)
        if not devices.fits_on_device(size, method.bank_device_share):
            bank = NeighborBank(*sizes, on_host=True, name="bank")
    with strategy.scope():
        model = LDLVA(
            network,
            method,
            len(training),
            bank=bank,
            sync_batch_norm=config.network.sync_batch_norm,
            merge_repeated=not (config.augmentation.pad or config.augmentation.flip),
            **shared,
        )
        compile_model(model, config)
    return model


def compile_model(model: Classifier, config: Config) -> None:
    """Gives a model its optimizer, and LDLVA the second one, with all their variables."""
    slow = backbone_variables(model.network)
    optimizers = [network_optimizer(config.optimizer, config.network.precision, slow)]
    if isinstance(model, LDLVA):
        form = config.method.uncertainty_form
        optimizers.append(uncertainty_optimizer(config.optimizer, form))
    model.compile(*optimizers)
    model.optimizer.build(model.optimized_variables)
    if isinstance(model, LDLVA):
        model.uncertainty_optimizer.build([model.uncertainty.value])


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """N / (C N_c) per class; 0 for a class without samples."""
    return [sum(counts) / (len(counts) * count) if count else 0.0 for count in counts]
