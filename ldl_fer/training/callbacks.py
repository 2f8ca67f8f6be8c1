"""Keras callbacks of a training: TensorBoard, the best network, the progress bar."""

import importlib.util
import warnings
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from ldl_fer import plots
from ldl_fer.config import Config
from ldl_fer.config.progress import hidden, tqdm
from ldl_fer.data.pipeline import batch_of_samples
from ldl_fer.data.records import Records
from ldl_fer.methods import METHODS
from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.training.run import Run

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
PICTURED_SAMPLES = 6


class NumberSummary(tf.keras.callbacks.Callback):
    """Writes curves of every number in the log and the method's histograms, each epoch.

    Numbers go as np.float32: TensorFlow keeps every new Python float, or float64, that it is given.
    """

    def __init__(self, writer: tf.summary.SummaryWriter) -> None:
        """Takes the TensorBoard writer."""
        super().__init__()
        self.writer = writer

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with self.writer.as_default(step=epoch):
            for name, value in logs.items():
                group = "validation" if name.startswith("val_") else "training"
                tf.summary.scalar(f"{group}/{name.removeprefix('val_')}", np.float32(value))
            for name, values in self.model.histograms().items():
                values = values.numpy()
                tf.summary.scalar(f"{name}/mean", values.mean())
                for q, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True):
                    tf.summary.scalar(f"{name}/quantile_{q:.2f}", np.float32(value))
                tf.summary.histogram(name, values)
        self.writer.flush()


class PictureSummary(tf.keras.callbacks.Callback):
    """Draws some samples with their neighbors and contributions, and the confusion matrix."""

    def __init__(self, writer: tf.summary.SummaryWriter, records: Records, config: Config) -> None:
        """Takes the TensorBoard writer and the training set the pictured samples come from."""
        super().__init__()
        self.writer = writer
        self.class_names = config.data.class_names
        self.batch = None
        if METHODS[config.method].constructs_targets(config) and not config.network.frozen:
            step = max(1, len(records) // PICTURED_SAMPLES)
            ids = list(range(0, len(records), step))[:PICTURED_SAMPLES]
            self.batch = batch_of_samples(records, ids, config)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        matrix = self.model.confusion.result().numpy().astype(int)
        with self.writer.as_default(step=epoch):
            if matrix.sum():
                _write_figure("confusion", plots.confusion_matrix(matrix, self.class_names))
            if self.batch is not None:
                figure = neighbor_figure(self.model, self.batch, self.class_names)
                _write_figure("neighbors", figure)


def neighbor_figure(model: Classifier, batch: Batch, class_names: tuple[str, ...]) -> Figure:
    """Draws the paper's Figure 4 for a batch of `pipeline.batch_of_samples`."""
    made, names = model.constructed(batch), plots.captioned(class_names)
    return plots.neighbors(
        batch["image"].numpy(),
        batch["neighbor_image"].numpy(),
        [names[label] for label in batch["label"]],
        [[names[label] for label in row] for row in batch["neighbor_labels"]],
        made.contribution.numpy(),
        made.calibration.numpy(),
        made.similarity.numpy(),
    )


def _write_figure(name, figure):
    tf.summary.image(name, plots.figure_to_array(figure)[tf.newaxis])


class BestNetwork(tf.keras.callbacks.Callback):
    """Keeps the network's weights at the epoch of the highest validation accuracy, and the last.

    What the method has beside the network is kept with the best.
    """

    def __init__(self, run: Run) -> None:
        """Takes the run folder; an earlier session's best epoch counts."""
        super().__init__()
        self.run = run
        self.best = run.epoch("best").get("validation_accuracy", -1.0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        accuracy = float(logs["val_accuracy"])
        written = {"epoch": epoch + 1, "validation_accuracy": accuracy}
        self.run.save_weights(self.model.network, "last", written)
        if accuracy > self.best:
            self.best = accuracy
            self.run.save_method(self.model.kept_with_best())
            self.run.copy_weights("last", "best")


class PlainProgressBar(tf.keras.callbacks.Callback):
    """Shows a bar of epochs and one of steps, with metrics and the time left.

    As that of tensorflow-addons, which `TQDMProgressBar` is where it is installed.
    """

    def __init__(self) -> None:
        """Makes the bar."""
        super().__init__()
        self._supports_tf_logs = True  # Keras then leaves metrics on the device.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._epochs = tqdm(
            desc="Training",
            total=self.params["epochs"],
            bar_format="{l_bar}{bar} {n_fmt}/{total_fmt} ETA: {remaining}s,  {rate_fmt}",
            dynamic_ncols=True,
            unit="epochs",
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._steps = tqdm(
            total=self.params["steps"],
            bar_format="{n_fmt}/{total_fmt}{bar} ETA: {remaining}s - {desc}",
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._steps.update(batch + 1 - self._steps.n):  # drawn, which is not done at each step
            self._describe(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._describe(logs)
        self._steps.close()
        self._epochs.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._epochs.close()

    def _describe(self, logs: dict[str, Any] | None) -> None:
        metrics = " - ".join(f"{name}: {value:0.4f}" for name, value in (logs or {}).items())
        self._steps.set_description_str(metrics, refresh=False)


if importlib.util.find_spec("tensorflow_addons"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The notice of its end of life, at every import.
        from tensorflow_addons.callbacks import TQDMProgressBar as _Bar
else:
    _Bar = PlainProgressBar


class TQDMProgressBar(_Bar):
    """Reads metrics when it draws, not at each step: that waits for the device.

    It is called after an execution, which may be of several steps, with the number of the last.
    """

    def __init__(self) -> None:
        """Makes the bar."""
        super().__init__()
        self.tqdm = tqdm
        self._supports_tf_logs = True  # Keras then leaves metrics on the device.

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._seen = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        while self._seen <= batch:
            self._seen += 1
            super().on_train_batch_end(self._seen - 1, logs)


def progress_bars() -> list[TQDMProgressBar]:
    """Returns the callback that shows progress; none where it is hidden."""
    return [] if hidden() else [TQDMProgressBar()]
