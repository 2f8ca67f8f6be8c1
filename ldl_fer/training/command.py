r"""Trains LDLVA, or another --method, on annotated faces.

  ldl-fer train --preset=small --train_data_path=train.csv --train_image_dir=images \
      --run_dir=checkpoints/mine
  ldl-fer train --preset=frozen --pretrained=MobileFaceNet.onnx --train_data_path=train.csv \
      --train_image_dir=images --run_dir=checkpoints/mine

The CSV has the columns subDirectory_filePath, expression, valence, arousal; paths start from
--train_image_dir. (--method=cross_entropy and others need no valence and arousal.) A tenth of it is
held out to choose the best epoch unless --val_data_path is given. Everything the run leaves lies in
--run_dir; `ldl-fer evaluate` and `ldl-fer export` take it from there. --preset chooses a set of
defaults: the paper's, the released code's, or ours for small machines.

Most used: --preset, --method, --epochs, --batch_size, --learning_rate, --image_size,
--num_neighbors, --val_data_path, --val_image_dir, --seed, --resume. All:
"""

import shlex

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.flags import config_from_flags, define_flags, preset_table
from ldl_fer.config.help import subject
from ldl_fer.config.presets import PRESETS


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__, closing=preset_table)


def _define_flags() -> None:
    define_flags()
    with subject("run"):
        flags.DEFINE_bool(
            "resume",
            False,
            "Go on with the run in --run_dir, if there is one, with its own settings; other flags "
            "override them, --preset does not.",
        )


def main() -> None:
    from ldl_fer.data.paths import check_pretrained, check_sources
    from ldl_fer.training.run import Run

    run_dir = flags.FLAGS.run_dir or PRESETS[flags.FLAGS.preset].run.run_dir
    stored = Run(run_dir).config() if flags.FLAGS.resume and Run(run_dir).exists() else None
    config = config_from_flags(stored)
    Run(config.run.run_dir).check_new(flags.FLAGS.resume)
    check_sources(config.data)
    check_pretrained(config.network)

    from ldl_fer.training.train import train

    run = train(config, resume=flags.FLAGS.resume)
    best = run.epoch("best")
    if best:  # else another machine of several has written the run
        given = shlex.quote(f"--run_dir={run.folder}")
        print(
            f"Best validation accuracy {best['validation_accuracy']:.4f} at epoch "
            f"{best['epoch']}.\n"
            f"Evaluate: ldl-fer evaluate {given} --test_data_path=... "
            "--test_image_dir=...\n"
            f"Export:   ldl-fer export {given}"
        )
