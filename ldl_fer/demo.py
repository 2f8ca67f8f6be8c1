"""Trains cross-entropy and LDLVA side by side on drawn faces, 30 percent of the labels wrong.

  ldl-fer demo          (or: make demo)

Draws the embedded data set, flips labels, trains both from the same seed, evaluates both on clean
test faces and ends with a table. Everything lies in checkpoints/demo afterwards, what the plain
network left in checkpoints/demo_cross_entropy. An earlier demo there is replaced.
"""

import shlex
import shutil
import time
from pathlib import Path

from absl import flags

from ldl_fer.config import Config, command_line
from ldl_fer.config.presets import PRESETS
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.drawn_faces.data_set import draw_faces
from ldl_fer.training.run import Run

# 1,500 faces are few: more epochs, a smaller crop, and a quicker lambda for the fewer visits.
CONFIG = PRESETS["small"].replace(
    epochs=20, decay_epochs=(15,), pad=3, uncertainty_learning_rate=5.0
)
NOISE_RATE = 0.3
PICTURED = 32


def run() -> None:
    """Starts `ldl-fer demo`."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    flags.DEFINE_string("data_dir", "data", "Where the drawn faces and their shards go.")
    flags.DEFINE_string("checkpoints_dir", "checkpoints", "Where the run folders go.")


def demo(data_dir: Path, checkpoints_dir: Path, config: Config) -> str:
    """Runs everything.

    Args:
      data_dir: where faces and shards go.
      checkpoints_dir: where the two run folders go.
      config: settings of both trainings; paths are filled in here.

    Returns:
      The report that is printed at the end.
    """
    import numpy as np
    import pandas as pd

    from ldl_fer.data.annotations import read_annotations
    from ldl_fer.evaluation.evaluate import evaluate_run
    from ldl_fer.inference.export import export_run
    from ldl_fer.preparation.noise.add import add_noise
    from ldl_fer.training.train import train

    faces = data_dir / "drawn_faces"
    draw_faces(faces, seed=config.run.seed)
    noisy = data_dir / "drawn_faces_noisy.csv"
    clean = read_annotations(faces / "train.csv")
    add_noise(clean, "symmetric", NOISE_RATE, config.run.seed).write(noisy)
    config = config.replace(
        train_data_path=str(noisy),
        train_image_dir=str(faces / "images"),
        records_dir=str(data_dir / "records"),
    )
    rows = {}
    for name, folder, method in (
        ("cross-entropy", "demo_cross_entropy", {"method": "cross_entropy"}),
        ("LDLVA", "demo", {}),
    ):
        print(f"\n=== {name} ===", flush=True)
        run_dir = checkpoints_dir / folder
        shutil.rmtree(run_dir, ignore_errors=True)
        start = time.monotonic()
        trained = train(config.replace(run_dir=str(run_dir), **method))
        seconds = time.monotonic() - start
        result = evaluate_run(run_dir, str(faces / "test.csv"), str(faces / "images"))
        rows[name] = {
            "accuracy": result.metrics["accuracy"],
            "macro F1": result.metrics["macro_f1"],
            "KL to truth": result.metrics["kl"],
            "flips found (AUC)": np.nan if method else flip_auc(trained),
            "seconds": seconds,
        }
    exported = export_run(trained.folder)
    picture = picture_uncertain(trained, faces / "images")
    table = pd.DataFrame(rows).T
    table["seconds"] = table["seconds"].round().astype(int)
    return (
        f"\n{result.count} test faces, "
        f"{NOISE_RATE:.0%} of the training labels flipped:\n\n"
        f"{table.to_string(float_format='{:.3f}'.format, na_rep='-')}\n\n"
        f"Faces with the highest uncertainty: {picture}\n"
        f"Run folder: {trained.folder}   export: {exported}\n"
        f"Curves: .venv/bin/tensorboard --logdir {shlex.quote(str(checkpoints_dir))}"
    )


def flip_auc(run: Run) -> float:
    """Computes the ROC-AUC by which lambda finds flipped labels, over the training samples."""

    from ldl_fer.data.annotation_checks import LABEL
    from ldl_fer.evaluation.metrics import flip_detection
    from ldl_fer.preparation.noise.label_list import CLEAN_LABEL

    samples = run.samples
    flipped = samples[LABEL] != samples[CLEAN_LABEL]
    return flip_detection(samples["uncertainty"], flipped)["roc_auc"]


def picture_uncertain(run: Run, image_dir: Path) -> Path:
    """Writes a picture of the training faces with the highest lambda; returns its path."""
    import cv2

    from ldl_fer import plots
    from ldl_fer.data.annotation_checks import LABEL, PATH
    from ldl_fer.preparation.noise.label_list import CLEAN_LABEL

    samples = run.samples.nlargest(PICTURED, "uncertainty")
    images = [cv2.imread(str(image_dir / p))[..., ::-1] for p in samples[PATH]]
    rows = zip(samples[LABEL], samples[CLEAN_LABEL], samples["uncertainty"], strict=True)
    titles = [
        f"{CLASS_NAMES[label]}, $\\lambda$ {uncertainty:.2f}\n"
        + ("kept" if label == clean else f"flipped from {CLASS_NAMES[clean]}")
        for label, clean, uncertainty in rows
    ]
    path = run.folder / "highest_uncertainty.png"
    plots.save_figure(plots.faces(images, titles), path)
    return path


def main() -> None:
    print(demo(Path(flags.FLAGS.data_dir), Path(flags.FLAGS.checkpoints_dir), CONFIG))
