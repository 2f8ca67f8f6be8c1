"""Valence and arousal for faces that have none, without which neighbors cannot be found.

predict: by any model
    python -m ldl_fer.affect predict --annotations=mine.csv --image_dir=images \\
        --output=mine_va.csv --model=checkpoints/affect
    python -m ldl_fer.affect predict --annotations=mine.csv --image_dir=images \\
        --output=mine_va.csv --model=enet_b0_8_va_mtl.onnx --scale=1/255 \\
        --mean=0.485,0.456,0.406 --std=0.229,0.224,0.225 --columns=-2,-1

    A model of `train` needs no further flags. Of any other .onnx (package onnxruntime), .h5, .keras
    or SavedModel say how its pixels are scaled, and what the file does not tell: its input becomes
    (scale * pixel + offset - mean) / std, pixels from 0 to 255. --spec=FILE.json holds the same;
    x.json beside x.onnx is found by itself.

train: a regressor, on a CSV that has valence and arousal in some rows at least
    python -m ldl_fer.affect train --preset=frozen --pretrained=MobileFaceNet.onnx \\
        --train_data_path=train.csv --train_image_dir=images \\
        --test_data_path=test.csv --test_image_dir=images --run_dir=checkpoints/affect

    Loss 1 - CCC (Lin, 1989) over each batch; the epoch of the best validation CCC is kept. CCC,
    Pearson and RMSE come with 95 % bootstrap intervals, which tell of the choice of faces, not of
    another training. An RMSE above the given values' standard deviation is warned of: their mean
    would do better.

prototypes: for want of better, out of a classifier's probabilities, sum_j p_j a_j
    python -m ldl_fer.affect prototypes --annotations=mine.csv --image_dir=images \\
        --output=mine_va.csv --classifier=checkpoints/mine

    A classifier can be trained without valence and arousal of its own CSV: fill them by
    anything and use --method=cross_entropy. Places a_j of the classes: Russell and Mehrabian
    (1977), or the class means of --from_csv.

Of `predict` and `prototypes`, the output is the input with valence and arousal where they were
missing (empty, -2, or no such columns), and where each row's are from in
valence_arousal_source; --overwrite replaces values that are there as well, and tells how the new
ones agree with them. A column knn is dropped where values changed.

    python -m ldl_fer.affect predict --help      the flags of one of the three
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from ldl_fer import command_line
from ldl_fer.affect.model_spec import CHANNELS, LAYOUTS
from ldl_fer.annotation_checks import NEIGHBORS
from ldl_fer.config_flags import config_from_flags, define_flags
from ldl_fer.errors import InputError
from ldl_fer.files import same_file
from ldl_fer.settings import CLASS_NAMES

if TYPE_CHECKING:
    from ldl_fer.affect.filling import Affect
    from ldl_fer.affect.foreign_model import AffectModel
    from ldl_fer.affect.prototypes import Prototypes

COMMANDS = ("predict", "train", "prototypes")
_SPEC_FLAGS = (
    *("image_size", "channels", "layout", "scale", "offset", "mean", "std"),
    *("outputs", "columns", "tanh", "output_scale"),
)


def load_model(path: str, spec_file: str | None, settings: dict) -> "AffectModel":
    """The model of `predict`: by a spec file, else the one beside the model; settings override it.

    Raises:
      InputError: as `read_spec`, `make_spec` and `load_affect_model`.
    """
    from ldl_fer.affect.foreign_model import load_affect_model, spec_file_of
    from ldl_fer.affect.model_spec import make_spec, read_spec

    spec_file = spec_file or spec_file_of(path)
    spec = read_spec(spec_file, settings) if spec_file else make_spec(settings, "flags")
    return load_affect_model(path, spec)


def load_prototypes(path: str, from_csv: str | None) -> tuple["Prototypes", tuple[str, ...]]:
    """The model of `prototypes`.

    Raises:
      InputError: as `load_classifier`, `prototypes_of` and `class_means`.
    """
    from ldl_fer.affect import prototypes
    from ldl_fer.affect.partial_annotations import read_partial_annotations

    probabilities, class_names, size, name = prototypes.load_classifier(path)
    if from_csv:
        places = prototypes.class_means(read_partial_annotations(from_csv, class_names).complete())
        origin = f"class means of {Path(from_csv).name}"
    else:
        places, origin = prototypes.prototypes_of(class_names), prototypes.PROTOTYPES_SOURCE
    lines = [f"{n} ({v:.2f}, {a:.2f})" for n, (v, a) in zip(class_names, places, strict=True)]
    print(f"prototypes ({origin}): {', '.join(lines)}")
    source = f"prototypes of {name}, {origin}"
    return prototypes.Prototypes(probabilities, places, size, source), class_names


def check_paths(annotations_path: str, image_dir: str, output: str) -> None:
    """What can be said of the paths before a model is loaded.

    Raises:
      InputError: no such CSV or folder, or the output is the input.
    """
    if not Path(annotations_path).is_file():
        raise InputError(f"{annotations_path} does not exist. Correct --annotations.")
    if not Path(image_dir).is_dir():
        raise InputError(f"{image_dir} is no folder. Correct --image_dir.")
    if same_file(annotations_path, output):
        raise InputError(f"{output} is the input itself. Name another --output.")


def fill_file(
    annotations_path: str,
    image_dir: str,
    output: str,
    model: "Affect",
    class_names: tuple[str, ...],
    overwrite: bool,
    batch_size: int,
) -> None:
    """Fills a CSV by a model and prints what came out.

    Raises:
      InputError: as `check_paths`, `read_partial_annotations` and `fill`.
    """
    from ldl_fer.affect.agreement import agreement, agreement_table, worse_than_constant
    from ldl_fer.affect.filling import class_table, fill, warnings_of
    from ldl_fer.affect.partial_annotations import read_partial_annotations

    check_paths(annotations_path, image_dir, output)
    partial = read_partial_annotations(annotations_path, class_names)
    filled, rows, values = fill(partial, model, image_dir, overwrite, batch_size)
    filled.write(output)
    print(class_table(partial, rows, values))
    given = partial.valence_arousal[rows]
    known = np.isfinite(given).all(axis=1)
    told = warnings_of(partial, rows, values)
    if known.sum() > 1:
        found = agreement(given[known], values[known].clip(-1.0, 1.0))
        print(f"\nAgreement with the values that were there:\n{agreement_table(found)}")
        told += [
            f"{text}. Are --columns, --channels and the scaling of the pixels right?"
            for text in worse_than_constant(found)
        ]
    _warn(told)
    stale = NEIGHBORS in partial.texts and NEIGHBORS not in filled.texts
    dropped = "; knn dropped, it was of other values" if stale else ""
    print(f"\n{output}: {len(rows):,} of {len(partial):,} rows filled by {model.source}{dropped}")


def main(names: list[str]) -> None:
    given = flags.FLAGS
    if len(names) != 1 or names[0] not in COMMANDS:
        raise InputError(f"say one of {', '.join(COMMANDS)} first. See --help.")
    if names[0] == "train":
        from ldl_fer.affect.agreement import agreement_table, worse_than_constant
        from ldl_fer.affect.regressor import train_regressor

        config = config_from_flags()
        found = train_regressor(config, given.test_data_path, given.test_image_dir)
        for name, measured in found.items():
            print(f"\n{name}, 95 % bootstrap intervals\n{agreement_table(measured)}")
            _warn(
                f"{name}: {text}: train longer or on more faces."
                for text in worse_than_constant(measured)
            )
        print(f"\n{config.run.run_dir}: metrics.json, saved_model/ for `predict --model`")
        return
    paths = given.annotations, given.image_dir, given.output
    check_paths(*paths)
    if names[0] == "prototypes":
        from ldl_fer.affect.prototypes import WARNING

        _warn([WARNING])
        model, class_names = load_prototypes(given.classifier, given.from_csv)
    else:
        model = load_model(given.model, given.spec, {n: given[n].value for n in _SPEC_FLAGS})
        class_names = given.class_names
    fill_file(*paths, model, tuple(class_names), given.overwrite, given.batch_size)


def _warn(texts: Iterable[str]) -> None:
    for text in texts:
        print(f"warning: {text}", file=sys.stderr)


def _define_flags(command: str | None) -> None:
    """Those of the command; of none, if there is none."""
    if command == "train":
        define_flags("data", "augmentation", "network", "optimizer", "run")
        flags.DEFINE_string("test_data_path", "", "CSV (or shards) to measure the result on.")
        flags.DEFINE_string("test_image_dir", "", "Folder that its paths start from.")
        return
    if command is None:
        return
    flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
    flags.DEFINE_string("image_dir", None, "Folder that its paths start from.", required=True)
    flags.DEFINE_string("output", None, "CSV to write.", required=True)
    flags.DEFINE_bool("overwrite", False, "Replace values that are there, too.")
    flags.DEFINE_integer("batch_size", 64, "Pictures per call of the model.", 1)
    if command == "prototypes":
        flags.DEFINE_string(
            "classifier", None, "Run folder of train.py, or exported SavedModel.", required=True
        )
        flags.DEFINE_string(
            "from_csv", None, "CSV whose class means take the prototypes' place; classes as there."
        )
        return
    flags.DEFINE_string(
        "model", None, "Run of `affect train`, .onnx, .h5, .keras or SavedModel.", required=True
    )
    flags.DEFINE_string("spec", None, "JSON with what the flags below say; they override it.")
    flags.DEFINE_list(
        "class_names", list(CLASS_NAMES), "Names of the classes, in the order of `expression`."
    )
    flags.DEFINE_integer(
        "image_size", None, "Height and width of the input, pixels. (default: as the file says)"
    )
    flags.DEFINE_enum("channels", None, CHANNELS, "Order of the colors. (default: RGB)")
    flags.DEFINE_enum(
        "layout", None, LAYOUTS, "Order of the input's axes. (default: as the file's shape shows)"
    )
    for name, text in (
        ("scale", "Factor of pixels, such as 1/255. (default: 1)"),
        ("offset", "Added then. (default: 0)"),
        ("mean", "Subtracted then. (default: 0)"),
        ("std", "Divisor then. (default: 1)"),
    ):
        flags.DEFINE_list(name, None, f"{text} One number, or three in the order of --channels.")
    flags.DEFINE_list(
        "outputs", None, "Output with both, or outputs of valence and arousal. (default: the only)"
    )
    flags.DEFINE_list(
        "columns", None, "Columns of valence and arousal, from 0, or from the end: -2,-1."
    )
    flags.DEFINE_bool("tanh", None, "Apply tanh to the output. (default: no)")
    flags.DEFINE_float(
        "output_scale", None, "Factor of the output, before tanh: 0.1 for -10..10. (default: 1)"
    )


if __name__ == "__main__":
    named = next((word for word in sys.argv[1:] if word in COMMANDS), None)
    if named is None:  # its flags are unknown: let `main` say what is missing, not the first flag
        sys.argv = [word for word in sys.argv if word[:2] != "--" or word[:6] == "--help"]
    _define_flags(named)
    command_line.start(main, positional="predict, train or prototypes")
