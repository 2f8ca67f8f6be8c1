"""The progress bar of tensorflow-addons, or its like: TensorFlow 2.15 is the last it runs with."""

import importlib.util
import warnings
from typing import Any

import tensorflow as tf
from tqdm.auto import tqdm


class PlainProgressBar(tf.keras.callbacks.Callback):
    """A bar of epochs and one of steps, with metrics and the time left, as tensorflow-addons'."""

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
        self._describe(logs)
        self._steps.update()

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
        from tensorflow_addons.callbacks import TQDMProgressBar
else:
    TQDMProgressBar = PlainProgressBar
