"""Refuses a training that cannot go well, and warns of one that hardly can, before it begins."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config, fields
from ldl_fer.config.presets import PRESETS
from ldl_fer.config.settings import AUXILIARY_SETTINGS
from ldl_fer.data.class_sampling import most_of_each_class
from ldl_fer.data.sets import AnyRecords
from ldl_fer.errors import InputError
from ldl_fer.methods import METHODS
from ldl_fer.training import devices
from ldl_fer.training.run import Run
from ldl_fer.training.state import TrainingState

# Where a machine has its table of landmarks does not matter.
_SPACE = tuple(name for name in AUXILIARY_SETTINGS if name != "landmarks")


def check_settings(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Raises InputError for settings that exclude each other."""
    if config.network.sync_batch_norm and strategy.num_replicas_in_sync > 1:
        for name, given in (
            ("--micro_batch_size", config.optimizer.micro_batch_size > 0),
            ("--jit", config.run.jit),
        ):
            if given:
                raise InputError(
                    f"--sync_batch_norm does not go with {name}: devices cannot exchange "
                    "statistics from within. Leave one of the two out."
                )
    if config.augmentation.pad > config.data.image_size:
        raise InputError(
            f"--pad={config.augmentation.pad} moves pictures by more than their size of "
            f"{config.data.image_size} pixels. Lower it."
        )
    if config.data.sampling != "natural" and config.class_weights != "none":
        raise InputError(
            f"--sampling={config.data.sampling} and --class_weights={config.class_weights} would "
            "both make up for rare classes, and together for too much. Leave one of the two out."
        )
    method = METHODS[config.method]
    settings = config.method_settings
    if settings.taught_by and not settings.teacher:
        raise InputError(
            f"--method={config.method} learns from a trained network: give its run folder by "
            f"--{settings.taught_by}. One is trained by plain training on the same pictures."
        )
    if settings.needs_pictures and config.network.frozen:
        raise InputError(
            f"--method={config.method} runs the backbone on parts of pictures, and --frozen keeps "
            "its maps of whole ones alone. Take --preset=fine_tuned or --preset=small."
        )
    if method.looks_inside and config.run.jit and not config.network.frozen:
        raise InputError(
            f"--method={config.method} looks into the network, which --jit closes. Leave it out."
        )
    if method.compares_batch(config) and config.optimizer.micro_batch_size:
        raise InputError(
            f"--method={config.method} compares the samples of a batch with each other, which "
            "--micro_batch_size would take apart. Leave it out."
        )
    if least := method.least_of_each_class:
        size = least * len(config.data.class_names)
        if config.data.sampling != "balanced" or config.optimizer.batch_size < size:
            raise InputError(
                f"--method={config.method} needs {least} samples of each class in a batch: give "
                f"--sampling=balanced and a --batch_size of {size} or more."
            )


def left_behind(config: Config) -> str:
    """Returns a sentence that names what a default or a preset has for another batch size.

    Empty where there is nothing: another value was chosen for this training.
    """
    size, found = config.optimizer.batch_size, []
    presets = [preset for preset in PRESETS.values() if preset.method == config.method]
    for name, tuned_at in config.method_settings.tuned_at.items():
        value = getattr(config.method_settings, name)
        chosen = [(fields(config.method)[name].default, tuned_at)]
        chosen += [(getattr(p.method_settings, name), p.optimizer.batch_size) for p in presets]
        found += _chosen_elsewhere(name, value, chosen, size)
    rate = config.optimizer.learning_rate
    if rate == Config().optimizer.learning_rate:
        optimizers = [preset.optimizer for preset in PRESETS.values()]
        chosen = [(one.learning_rate, one.batch_size) for one in optimizers]
        found += _chosen_elsewhere("learning_rate", rate, chosen, size)
    end = f", and --batch_size is {size}: choose it anew on validation faces, or take that batch."
    return "note: " + " and ".join(found) + end if found else ""


def _chosen_elsewhere(name, value, chosen, size):
    """Says so where a value is among those chosen, (value, batch size), but at no such batch."""
    sizes = [of for known, of in chosen if known == value]
    if not sizes or size in sizes:
        return []
    return [f"--{name}={value:g} was chosen at a batch of {sizes[0]}"]


def check_epochs(config: Config, state: TrainingState) -> None:
    """Raises InputError where more than the wanted epochs are done."""
    done, wanted = state.epochs_done, config.optimizer.epochs
    if (done, state.steps_done) > (wanted, 0):
        part = f" and {state.steps_done:,} steps of the next" if state.steps_done else ""
        raise InputError(
            f"{config.run.run_dir} has done {done} epochs{part}, more than --epochs={wanted}. Give "
            f"--epochs={done + (state.steps_done > 0)} or more."
        )


def check_seed(config: Config, earlier: Run, state: TrainingState) -> None:
    """Raises InputError where a run would go on with another seed."""
    if state.step and (seed := earlier.config().run.seed) != config.run.seed:
        raise InputError(
            f"{earlier.folder} was begun with --seed={seed}, which says the pictures held out and "
            "the order of all. Give the same one, or another --run_dir."
        )


def check_size(config: Config, strategy: tf.distribute.Strategy, training: AnyRecords) -> None:
    """Raises InputError where a batch cannot be shared among the devices."""
    replicas = strategy.num_replicas_in_sync
    for name, size in (
        ("--batch_size", config.optimizer.batch_size),
        ("the number of training images", len(training)),
    ):
        if size < replicas:
            raise InputError(
                f"{name} is {size}, less than the {replicas} devices that share a batch. Raise it, "
                "or use fewer devices: CUDA_VISIBLE_DEVICES names those that are seen."
            )


def check_sampling(config: Config, training: AnyRecords) -> None:
    """Raises InputError where a batch would hold more samples of a class than there are."""
    if config.data.sampling == "natural":
        return
    counts = training.class_counts
    needed = most_of_each_class(config, counts)
    for name, count, most in zip(config.data.class_names, counts, needed, strict=True):
        if most > count:
            raise InputError(
                f"--sampling={config.data.sampling} puts up to {most} images of {name} into a "
                f"batch, and the training set has {count}. Lower --batch_size, which is "
                f"{config.optimizer.batch_size}, or leave --sampling out."
            )


def check_machines(
    config: Config, strategy: tf.distribute.Strategy, training: AnyRecords, state: TrainingState
) -> None:
    """Raises InputError where several machines are about to do different things."""
    if strategy.cluster_resolver is None:
        return
    settings = config.method, config.class_weights, config.method_settings
    settings = *settings, config.data.num_neighbors, config.data.sampling, config.network
    settings = *settings, config.optimizer, config.augmentation, config.run.checkpoint_every
    settings = *settings, [getattr(config.data, name) for name in _SPACE]
    devices.check_agreement(
        strategy,
        {
            "the number of finished epochs": state.epochs_done,
            "the number of steps done": state.steps_done,
            "the training set": training.annotations().fingerprint(),
            "the settings": (config.data.image_size, config.run.seed, *settings),
        },
    )


def doubts(config: Config, training: AnyRecords, validation: AnyRecords) -> list[str]:
    """Returns sentences on what the two sets cannot teach or measure."""
    data, texts = config.data, []
    kind = "test" if data.select_on_test else "validation"
    names = np.array(data.class_names)
    absent = names[np.array(training.class_counts) == 0]
    if len(absent):
        texts.append(
            f"no training picture is of {', '.join(absent)}, which the network cannot learn. Add "
            "some, or name only the classes that there are by --class_names (and number "
            "`expression` accordingly)."
        )
    unmeasured = np.setdiff1d(names[np.array(validation.class_counts) == 0], absent)
    if len(unmeasured):
        texts.append(
            f"no {kind} picture is of {', '.join(unmeasured)}: the accuracy on it says nothing of "
            "them. Add some."
        )
    if data.val_data_path:
        cure = "" if data.select_on_test else ", or leave it out to have a part held out"
        texts += known_pictures(
            training.pictures(data.train_image_dir),
            {kind: validation.pictures(data.val_image_dir)},
            f" Give others as --val_data_path{cure}.",
        )
    return texts


def known_pictures(training: set[str], others: Mapping[str, set[str]], cure: str = "") -> list[str]:
    """Returns a sentence for each set that has training pictures.

    Args:
      training: places of the pictures that are trained on.
      others: name of a set -> places of its pictures.
      cure: ends the sentences.
    """
    texts = []
    for name, pictures in others.items():
        known, count = len(pictures & training), len(pictures)
        if known:
            share = f"all {count:,}" if known == count else f"{known:,} of {count:,}"
            texts.append(
                f"{share} {name} pictures are training pictures: what is measured on them says "
                f"nothing of new faces.{cure}"
            )
    return texts
