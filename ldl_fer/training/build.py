"""Builds a model that is ready to train from settings: network, method, optimizers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.data.label_confusion import label_confusion
from ldl_fer.data.pipeline import steps_per_epoch
from ldl_fer.data.sets import AnyRecords
from ldl_fer.errors import InputError
from ldl_fer.methods import METHODS, network_of_method
from ldl_fer.methods.bank import NeighborBank
from ldl_fer.methods.classifier import Classifier
from ldl_fer.methods.optimizers import network_optimizer
from ldl_fer.networks.head import trained_part
from ldl_fer.training import devices
from ldl_fer.training.run import load_network


def build_model(
    config: Config,
    training: AnyRecords,
    strategy: tf.distribute.Strategy | None = None,
    network: tf.keras.Model | None = None,
    teachers: Sequence[tf.keras.Model] = (),
) -> Classifier:
    """Returns the compiled model of a run, its variables made in the scope of the strategy.

    A bank that is too large for the devices is made outside of it, in the host's memory.

    Args:
      config: all settings.
      training: the training set.
      strategy: None: the current one.
      network: of `network_of_method`, made in the strategy's scope; None: a new one.
      teachers: of `load_teachers`, made there, too.

    Raises:
      InputError: as `build_network`.
    """
    strategy = strategy or tf.distribute.get_strategy()
    method = METHODS[config.method]
    steps = steps_per_epoch(
        len(training), config.optimizer.batch_size, strategy.num_replicas_in_sync
    )
    weights = None
    if config.class_weights == "balanced":
        weights = balanced_weights(training.class_counts)
    if network is None:
        with strategy.scope():
            network = network_of_method(config)
    size = trained_part(network).outputs[0].shape[-1]
    bank = method.host_bank(config, len(training), size, devices.fits_on_device)
    with strategy.scope():
        facts = facts_of_labels(config, training)
        model = method(network, config, len(training), steps, weights, **facts, teachers=teachers)
        compile_model(model, config, bank)
    return model


def load_teachers(config: Config, network: tf.keras.Model) -> list[tf.keras.Model]:
    """Loads the networks of the runs that the method learns from.

    Args:
      config: all settings.
      network: that is to be trained.

    Returns:
      Networks that take the same images; over a frozen backbone, heads that take its pooled maps.

    Raises:
      InputError: as `load_network`, or a run has other classes or takes other images.
    """
    found = []
    for run in METHODS[config.method].teacher_runs(config):
        teacher, settings = load_network(run, trust_model=config.network.trust_model)
        for name, have, want in (
            ("classes", settings.data.class_names, config.data.class_names),
            ("--image_size", settings.data.image_size, config.data.image_size),
        ):
            if have != want:
                raise InputError(
                    f"the teacher {run} has {name} {have}, and here they are {want}. Give a run of "
                    "the same."
                )
        if config.network.frozen:
            if not settings.network.frozen or not _same_weights(teacher, network, "backbone"):
                raise InputError(
                    f"the teacher {run} has another backbone, and --frozen trains on the maps of "
                    "one alone. Give a run with --frozen and the same --pretrained."
                )
            teacher = trained_part(teacher)
        found.append(teacher)
    return found


def _same_weights(first: tf.keras.Model, second: tf.keras.Model, layer: str) -> bool:
    one, other = (network.get_layer(layer).get_weights() for network in (first, second))
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def facts_of_labels(config: Config, training: AnyRecords) -> dict[str, Any]:
    """Returns what the method is told of the training set's labels, by arguments' names.

    Raises:
      InputError: a file that the method reads is missing, or does not fit.
    """
    method, facts = METHODS[config.method], dict[str, Any](class_counts=training.class_counts)
    if method.reads_annotators:
        facts["annotators"] = training.annotations().annotators
    path = method.confusion_file(config)
    if path is not None:
        facts["label_confusion"] = label_confusion(training.annotations(), path)
    return facts


def compile_model(model: Classifier, config: Config, bank: NeighborBank | None = None) -> None:
    """Gives a model its optimizers, with all their variables, and the bank, if it has one."""
    optimizer = network_optimizer(config.optimizer, config.network.precision, model.slow_variables)
    model.compile(optimizer, bank, steps_per_execution=config.run.steps_per_execution)


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Returns N / (C N_c) per class of N_c samples; 0 for a class without samples."""
    return [sum(counts) / (len(counts) * count) if count else 0.0 for count in counts]
