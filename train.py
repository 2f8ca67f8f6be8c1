"""Trains LDLVA (or, with its switches off, plain cross-entropy) on annotated faces.

  python train.py --train_data_path=data/train.csv --train_image_dir=data/images \
      --backbone=resnet18 --image_size=112 --run_dir=checkpoints/mine

The CSV has the columns subDirectory_filePath, expression, valence, arousal; paths start from
--train_image_dir. A tenth of it is held out to choose the best epoch unless --val_data_path is
given. Everything the run leaves lies in --run_dir; evaluate.py and `python -m ldl_fer.export` take
it from there. `--preset` chooses the paper's settings or the released code's.
"""

from absl import flags

from ldl_fer import command_line
from ldl_fer.config_flags import config_from_flags, define_flags
from ldl_fer.presets import PRESETS


def main() -> None:
    from ldl_fer.runs import Run
    from ldl_fer.training import train

    run_dir = flags.FLAGS.run_dir or PRESETS[flags.FLAGS.preset].run.run_dir
    stored = Run(run_dir).config() if flags.FLAGS.resume and Run(run_dir).exists() else None
    run = train(config_from_flags(stored), resume=flags.FLAGS.resume)
    best = run.best()
    print(
        f"Best validation accuracy {best['validation_accuracy']:.4f} at epoch {best['epoch']}.\n"
        f"Evaluate: python evaluate.py --run_dir={run.folder} --test_data_path=... "
        "--test_image_dir=...\n"
        f"Export:   python -m ldl_fer.export --run_dir={run.folder}"
    )


if __name__ == "__main__":
    define_flags()
    flags.DEFINE_bool(
        "resume", False, "Go on with the run in --run_dir, with its own settings; flags override."
    )
    command_line.start(main)
