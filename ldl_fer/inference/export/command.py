r"""Writes the best network of a run for use elsewhere, checks it, and states its limits.

  ldl-fer export --run_dir=checkpoints/x
  ldl-fer export --run_dir=checkpoints/x --format=saved_model,tflite,tflite_int8,onnx \
      --data_license="RAF-DB: non-commercial research only"

Formats, each a folder of that name with MODEL_CARD.md (of safetensors README.md), SHA256SUMS
(`sha256sum -c SHA256SUMS` finds damage), and labels.txt and info.json, of saved_model in its folder
assets.extra:
  saved_model   TensorFlow, without Keras and this package; takes encoded images or pixels, of any
                size
  tflite        TensorFlow Lite in float32, for phones; pixels uint8 [batch, S, S, 3], RGB
  tflite_int8   the same in 8-bit integers, a quarter of the size; calibrated on pictures of the
                training set, or of --representative
  onnx          ONNX, pixels uint8 [batch, S, S, 3], RGB; needs requirements-extras.txt
  safetensors   weights, config.json and README.md as Hugging Face's hub has them; for this package
All but the last answer probabilities, float32 [batch, C]. Each is loaded again and compared with
the network, on random images and on real ones where the training set is at hand; one that differs
is not kept, and the exit code is 1.
"""

import sys
from pathlib import Path

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.settings import TRUST_HELP, RunConfig
from ldl_fer.inference import export

_FAILED = 1


def run() -> None:
    """Starts `ldl-fer export`."""
    command_line.start(main, _define_flags, __doc__)


def main() -> int:
    from ldl_fer.data.paths import check_files

    given = flags.FLAGS
    export.check_request(given.run_dir, given.format)
    check_files(given.representative)
    parent = Path(given.output_dir or given.run_dir)
    exports = export.export_formats(
        given.run_dir,
        {name: parent / name for name in given.format},
        given.representative,
        given.representative_images,
        given.data_license,
        given.trust_model,
    )
    for made in exports:
        if made.failure:
            print(f"error: {made.kind.name}: {made.failure}", file=sys.stderr)
            continue
        print(f"\n{made.folder}: {made.size / 1e6:.2f} MB; allowed: {made.kind.tolerance}")
        for images, comparison in made.checks.items():
            print(f"  {images}: {comparison}")
        for text in made.warnings:
            print(f"warning: {made.kind.name} {text}", file=sys.stderr)
    return _FAILED if any(made.failure for made in exports) else 0


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", RunConfig().run_dir, "Folder of a run of ldl-fer train.")
    flags.DEFINE_list(
        "format", ["saved_model"], f"Which of {', '.join(export.FORMATS)}; several: a,b."
    )
    flags.DEFINE_string("output_dir", None, "Gets a folder per format. (default: --run_dir)")
    flags.DEFINE_string(
        "representative",
        None,
        "Folder of face crops to compare on and to calibrate tflite_int8 by. (default: the run's "
        "training set)",
    )
    flags.DEFINE_integer("representative_images", export.COUNT, "How many of those, at most.", 1)
    flags.DEFINE_string(
        "data_license",
        "",
        "License of the training data, for the card. (default: not stated: ask the data's owner)",
    )
    flags.DEFINE_bool("trust_model", False, TRUST_HELP)
