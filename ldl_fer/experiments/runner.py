"""Trains and measures the planned runs of an experiment; what is done already is not done again.

A run lies in a folder of its own, named after its settings, so that experiments share the runs
that they have in common. Several processes may work at the same experiment: each takes runs that
no other is at.
"""

import gc
import json
import shutil
import time
from collections.abc import Mapping

import numpy as np
import pandas as pd
import tensorflow as tf

from ldl_fer.config.progress import tqdm
from ldl_fer.data.sets import AnyRecords
from ldl_fer.errors import extra_package
from ldl_fer.evaluation.audit.folds import outside_probabilities
from ldl_fer.evaluation.audit.training_set import training_set
from ldl_fer.evaluation.evaluate import evaluate_data, evaluate_run, open_data
from ldl_fer.evaluation.temperature import TEMPERATURE_FILE, fit_run, read_temperature
from ldl_fer.experiments.data import Sets
from ldl_fer.experiments.linear_folds import FOLDS, check_cross_validation, cross_validated
from ldl_fer.experiments.measures import LAST_EPOCHS, MEASURES, Finished, read_metrics
from ldl_fer.experiments.plan import Planned
from ldl_fer.experiments.tables import Experiment
from ldl_fer.files import claimed, write_whole
from ldl_fer.training.devices import is_plain
from ldl_fer.training.run import load_network
from ldl_fer.training.train import train

EPOCHS = ("best", "last")  # networks of a run that are tested whole


def check_measure(experiment: Experiment, planned: list[Planned]) -> None:
    """Checks that the runs can be measured, before time is spent on training them.

    Raises:
      InputError: as `cross_validated`, where the experiment needs it; cleanlab is not installed.
    """
    outside = [one for one in planned if _beside_cleanlab(experiment, one)]
    if outside:
        extra_package("cleanlab", f"the experiment `{experiment.name}`")
    for one in outside:
        check_cross_validation(one.config)


def _beside_cleanlab(experiment: Experiment, one: Planned) -> bool:
    return experiment.measure == "uncertainty" and one.config.method == "cross_entropy"


def run_all(planned: list[Planned], name: str, progress: bool = True) -> None:
    """Trains and tests what is not done yet.

    Args:
      planned: of `plan`.
      name: title of the progress bar.
      progress: whether to show it: epochs of all runs, with the time left.
    """
    tf.get_logger().setLevel("ERROR")  # It counts that every run traces functions anew.
    waiting = []
    for one in planned:
        if one.record.exists():
            _drop_state(one)  # a kill may have left it
        else:
            waiting.append(one)
    epochs = sum(one.config.optimizer.epochs for one in waiting)
    records = {one.config.run.run_dir: one.record for one in planned}
    with tqdm(total=epochs, desc=name, unit="epoch", disable=not progress) as bar:
        while waiting:
            postponed = []
            for one in waiting:
                teacher = records.get(one.config.method_settings.teacher)
                if teacher is not None and not teacher.exists():  # another process is at it
                    postponed.append(one)
                    continue
                with claimed(one.lock) as mine:
                    if not mine:
                        postponed.append(one)
                    elif one.record.exists():  # by another process
                        bar.update(one.config.optimizer.epochs)
                    else:
                        bar.set_postfix_str(str(one))
                        _run(one, bar)
                if mine:
                    one.lock.unlink(missing_ok=True)
            if len(postponed) == len(waiting):
                bar.set_postfix_str(f"{len(waiting)} runs are at work elsewhere")
                time.sleep(5)
            waiting = postponed


def _run(one: Planned, bar: tqdm) -> None:
    tf.keras.backend.clear_session()
    gc.collect()  # graphs of the run before: cycles that Python would let grow
    start = time.monotonic()
    watch = _Epochs(one, bar)
    run = train(one.config, resume=True, watch=watch)
    seconds = time.monotonic() - start
    network, _ = load_network(run.folder, "best", watch.network, one.config.network.trust_model)
    for dataset, records in watch.tests(network).items():
        data = str(one.tests[dataset]), one.test_image_dir
        for epoch in EPOCHS:
            folder = one.result(dataset, epoch)
            evaluate_run(
                run.folder, *data, epoch, folder, progress=False, network=network, records=records
            )
    commit = json.loads((run.folder / "environment.json").read_text())["git_commit"]
    numbers = sum(weight.shape.num_elements() for weight in watch.model.weights)
    record = {"seconds": round(seconds, 1), "parameters": numbers, "commit": commit}
    write_whole(one.record, json.dumps(record) + "\n")
    _drop_state(one)


def _drop_state(one: Planned) -> None:
    """Deletes what a training goes on from, large and of no use once its record is there."""
    shutil.rmtree(one.run.state, ignore_errors=True)


class _Epochs(tf.keras.callbacks.Callback):
    """Moves a progress bar by every epoch, and tests the network after each of the last ones.

    The accuracies lie in a file of the run, so that a run that goes on has those of all sessions.
    """

    def __init__(self, one: Planned, bar: tqdm) -> None:
        super().__init__()
        self.one = one
        self.bar = bar
        self.counted = 0
        self._tests: dict[str, AnyRecords] = {}

    @property
    def network(self) -> tf.keras.Model | None:
        """The trained network, if `load_network` can fill it."""
        model = getattr(self, "model", None)
        if model is None or not is_plain(self.one.config, model.distribute_strategy):
            return None
        return model.network

    def tests(self, network: tf.keras.Model) -> dict[str, AnyRecords]:
        """Opens the test sets, once."""
        if not self._tests:
            self._tests = {
                dataset: open_data(network, self.one.config, str(path), self.one.test_image_dir)
                for dataset, path in self.one.tests.items()
            }
        return self._tests

    def on_epoch_end(self, epoch, logs=None):
        self.bar.update(epoch + 1 - self.counted)  # those of earlier sessions come with the first
        self.counted = epoch + 1
        if epoch < self.one.config.optimizer.epochs - LAST_EPOCHS:
            return
        row: dict[str, float] = {"epoch": epoch + 1}
        network = self.model.network
        for dataset, records in self.tests(network).items():
            result = evaluate_data(network, self.one.config, records, progress=False)
            row[dataset] = result.metrics["accuracy"]
        file, table = self.one.last_epochs, pd.DataFrame([row])
        if file.exists():
            earlier = pd.read_csv(file)
            table = pd.concat([earlier[earlier["epoch"] <= epoch], table])
        write_whole(file, table.to_csv(index=False))


def measured(
    experiment: Experiment, planned: list[Planned], sets: Sets, kept: Mapping[str, list[dict]]
) -> pd.DataFrame:
    """Measures the finished runs: a row per run and row of the table, with where it comes from.

    Args:
      experiment, planned, sets: as `plan` takes and gives them.
      kept: rows of `summary.kept_rows`, for runs whose folders are not here.
    """
    rows = []
    for one in planned:
        if not one.record.exists():
            rows += kept.get(one.run.folder.name, [])
            continue
        outside = linear = None
        if _beside_cleanlab(experiment, one):
            linear = cross_validated(one.config, sets.folder)
        if experiment.measure == "uncertainty":
            training = training_set(one.run.folder)
            outside = outside_probabilities(one.run.folder, training, FOLDS)
        temperature, tested = None, EPOCHS
        if experiment.measure == "votes":
            temperature, tested = _scaled(one), (*EPOCHS, "scaled")
        finished = Finished(
            one.variant,
            one.run.samples,
            {
                dataset: {e: read_metrics(one.result(dataset, e) / "result.json") for e in tested}
                for dataset in one.tests
            },
            pd.read_csv(one.last_epochs)[list(one.tests)].mean().to_dict(),
            one.run.log,
            one.config.data.class_names,
            one.config.label_smoothing.smoothing,
            outside,
            linear,
            temperature,
        )
        record = json.loads(one.record.read_text())
        for row in MEASURES[experiment.measure](finished):
            rows.append(
                {
                    "method": row.method,
                    "dataset": row.dataset,
                    "noise": str(one.noise),
                    "setting": row.setting,
                    "seed": one.seed,
                    **row.values,
                    "minutes": record["seconds"] / 60,
                    "million_parameters": record.get("parameters", np.nan) / 1e6,
                    **record,
                    "run_dir": str(one.run.folder),
                }
            )
    return pd.DataFrame(rows)


def _scaled(one: Planned) -> float:
    """Fits the temperature of a finished run, and tests its network with it, if that is not done.

    Returns:
      The temperature.
    """
    file = one.run.folder / TEMPERATURE_FILE
    temperature = read_temperature(file) or fit_run(one.run.folder, progress=False)["temperature"]
    for dataset, path in one.tests.items():
        folder = one.result(dataset, "scaled")
        if not (folder / "result.json").exists():
            data = str(path), one.test_image_dir
            evaluate_run(
                one.run.folder, *data, "best", folder, progress=False, temperature=temperature
            )
    return temperature
