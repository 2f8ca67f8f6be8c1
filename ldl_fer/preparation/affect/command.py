"""Fills in valence and arousal of faces that have none, so that neighbors can be found.

predict: by any model
    ldl-fer affect predict --annotations=mine.csv --image_dir=images \\
        --output=mine_va.csv --model=checkpoints/affect
    ldl-fer affect predict --annotations=mine.csv --image_dir=images \\
        --output=mine_va.csv --model=enet_b0_8_va_mtl.onnx --scale=1/255 \\
        --mean=0.485,0.456,0.406 --std=0.229,0.224,0.225 --columns=-2,-1

    A model of `train` needs no further flags. Of any other .onnx (package onnxruntime), .h5, .keras
    or SavedModel say how its pixels are scaled, and what the file does not say: its input becomes
    (scale * pixel + offset - mean) / std, pixels from 0 to 255. --spec=FILE.json holds the same;
    x.json beside x.onnx is found by itself. --spec=hsemotion_enet_b0, hsemotion_enet_b2,
    hsemotion_mbf or emonet has it for these models. It warns where class means lie far from where
    people put such faces (AffectNet's validation set).

evaluate: how well any such model agrees with the valence and arousal of a CSV, best people's own
    ldl-fer affect evaluate --annotations=val.csv --image_dir=images --model=checkpoints/affect

    CCC, Pearson, RMSE and the share of equal signs, for each axis, with 95 % bootstrap intervals
    of the choice of faces. Rows without values are left out.

train: a regressor, on a CSV that has valence and arousal in some rows at least
    ldl-fer affect train --preset=frozen --pretrained=MobileFaceNet.onnx \\
        --train_data_path=train.csv --train_image_dir=images \\
        --test_data_path=test.csv --test_image_dir=images --run_dir=checkpoints/affect

    Loss 1 - CCC (Lin, 1989) over each batch; the epoch of the best validation CCC is kept. CCC,
    Pearson and RMSE come with 95 % bootstrap intervals, which are of the choice of faces, not of
    another training. An RMSE above the given values' standard deviation is warned of: their mean
    would do better. So is overfitting, with what helps. It trains on one device from start to end
    and finds no neighbors: flags that would say otherwise (--strategy, --checkpoint_every,
    --num_neighbors, ...) do not exist.

prototypes: for want of better, out of a classifier's probabilities, sum_j p_j a_j
    ldl-fer affect prototypes --annotations=mine.csv --image_dir=images \\
        --output=mine_va.csv --classifier=checkpoints/mine

    `ldl-fer train --method=cross_entropy` makes a classifier from the same CSV, without valence
    and arousal. Places a_j of the classes: Russell and Mehrabian (1977), or the class means
    of --from_csv.

Of `predict` and `prototypes`, the output is the input with valence and arousal where they were
missing (empty, -2, or no such columns), and where each row's are from in
valence_arousal_source; --overwrite replaces values that are there as well, and prints how the new
ones agree with them. A column knn is dropped where values changed.

    ldl-fer affect predict --help      the flags of one of the four
"""

import functools
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.flags import config_from_flags, define_flags, preset_table
from ldl_fer.config.help import subject
from ldl_fer.config.settings import CLASS_NAMES, TRUST_HELP
from ldl_fer.errors import InputError
from ldl_fer.files import check_replaceable, same_file, write_whole
from ldl_fer.preparation.affect import BATCH_SIZE
from ldl_fer.preparation.affect.model_spec import CHANNELS, LAYOUTS, NAMED_SPECS

if TYPE_CHECKING:
    from ldl_fer.preparation.affect.filling import Affect
    from ldl_fer.preparation.affect.model import AffectModel

COMMANDS = ("predict", "train", "prototypes", "evaluate")
SPEC_FLAGS = (
    *("image_size", "channels", "layout", "scale", "offset", "mean", "std"),
    *("outputs", "columns", "tanh", "output_scale"),
)
_UNUSED = (  # settings that `train_regressor` ignores
    *("num_neighbors", "select_on_test", "micro_batch_size", "strategy", "checkpoint_every"),
    *("jit", "pictures", "sync_batch_norm", "sampling"),
)


def define_command_flags(command: str | None) -> None:
    """Defines the flags of one of COMMANDS; none without one."""
    if command == "train":
        define_flags("data", "augmentation", "network", "optimizer", "run", without=_UNUSED)
        with subject("data"):
            flags.DEFINE_string("test_data_path", "", "CSV (or shards) to measure the result on.")
            flags.DEFINE_string("test_image_dir", "", "Folder that its paths start from.")
        return
    if command is None:
        return
    with subject("files"):
        flags.DEFINE_string("annotations", None, "Annotation CSV to read.", required=True)
        flags.DEFINE_string("image_dir", None, "Folder that its paths start from.", required=True)
        if command == "evaluate":
            flags.DEFINE_string("output", None, "JSON to write. Left out: only printed.")
        else:
            flags.DEFINE_string("output", None, "CSV to write.", required=True)
            flags.DEFINE_bool("overwrite", False, "Replace values that are there, too.")
    if command == "prototypes":
        _define_prototype_flags()
    else:
        _define_model_flags()


def _define_prototype_flags() -> None:
    with subject("classifier"):
        flags.DEFINE_string(
            "classifier", None, "Run of ldl-fer train, or exported SavedModel.", required=True
        )
        flags.DEFINE_string(
            "from_csv", None, "CSV whose class means take the prototypes' place; classes as there."
        )
        flags.DEFINE_integer("batch_size", BATCH_SIZE, "Pictures per call of the model.", 1)


def _define_model_flags() -> None:
    with subject("files"):
        flags.DEFINE_list(
            "class_names", list(CLASS_NAMES), "Names of the classes, in the order of `expression`."
        )
    with subject("model"):
        flags.DEFINE_string(
            "model", None, "Run of `affect train`, .onnx, .h5, .keras or SavedModel.", required=True
        )
        flags.DEFINE_bool("trust_model", False, TRUST_HELP)
        flags.DEFINE_string(
            "spec",
            None,
            "JSON with what the flags below say, or the name of a model that is known: "
            f"{', '.join(NAMED_SPECS)}. The flags override it.",
        )
        flags.DEFINE_integer("batch_size", BATCH_SIZE, "Pictures per call of the model.", 1)
    with subject("what goes into the model"):
        flags.DEFINE_integer(
            "image_size", None, "Height and width of the input, pixels. (default: as the file says)"
        )
        flags.DEFINE_enum("channels", None, CHANNELS, "Order of the colors. (default: RGB)")
        flags.DEFINE_enum(
            "layout",
            None,
            LAYOUTS,
            "Order of the input's axes. (default: as the file's shape shows)",
        )
        for name, text, default in (
            ("scale", "Factor of pixels, such as 1/255.", 1),
            ("offset", "Added then.", 0),
            ("mean", "Subtracted then.", 0),
            ("std", "Divisor then.", 1),
        ):
            text += " One number, or three in the order of --channels."
            flags.DEFINE_list(name, None, f"{text} (default: {default})")
    with subject("what comes out of the model"):
        flags.DEFINE_list(
            "outputs",
            None,
            "Output with both, or outputs of valence and arousal. (default: the only)",
        )
        flags.DEFINE_list(
            "columns", None, "Columns of valence and arousal, from 0, or from the end: -2,-1."
        )
        flags.DEFINE_bool("tanh", None, "Apply tanh to the output. (default: no)")
        flags.DEFINE_float(
            "output_scale",
            None,
            "Factor of the output, before tanh: 0.1 for -10..10. (default: 1)",
        )


def run() -> None:
    """Starts the command."""
    named = next((word for word in sys.argv[1:] if word in COMMANDS), None)
    if named is None:  # its flags are unknown: let `main` say what is missing, not the first flag
        sys.argv = [word for word in sys.argv if word[:2] != "--" or word[:6] == "--help"]
    command_line.start(
        main,
        functools.partial(define_command_flags, named),
        __doc__,
        positional="predict, train, prototypes or evaluate",
        closing=preset_table if named == "train" else None,
    )


def main(names: list[str]) -> None:
    given = flags.FLAGS
    if len(names) != 1 or names[0] not in COMMANDS:
        raise InputError(f"say one of {', '.join(COMMANDS)} first. See --help.")
    if names[0] == "train":
        _train(given)
        return

    if names[0] == "evaluate":
        _evaluate(given)
        return
    paths = given.annotations, given.image_dir, given.output
    check_paths(*paths)
    if names[0] == "prototypes":
        from ldl_fer.preparation.affect.prototypes import WARNING, load_prototypes

        _warn([WARNING])
        model, class_names = load_prototypes(given.classifier, given.from_csv)
        flagged = False
    else:
        model, flagged = _model(given)
        class_names = given.class_names
    _fill_csv(*paths, model, class_names, given.overwrite, given.batch_size, flagged)


def _model(given: flags.FlagValues) -> "tuple[AffectModel, bool]":
    """Loads --model; says also whether flags say how it is fed and read."""
    from ldl_fer.preparation.affect.model import load_named_model, spec_file_of

    settings = {name: given[name].value for name in SPEC_FLAGS}
    model = load_named_model(given.model, given.spec, settings, given.trust_model)
    ours = Path(given.model).is_dir() and spec_file_of(given.model) is not None
    return model, not ours or any(value is not None for value in settings.values())


def check_paths(annotations_path: str, image_dir: str, output: str | None, *marks: str) -> None:
    """Checks the paths, before anything is loaded.

    Args:
      annotations_path, image_dir: have to be there.
      output: file to be written; None: none.
      *marks: of an output that may be replaced, see `check_replaceable`.

    Raises:
      InputError: no such CSV or folder, or the output is the input, or of another command.
    """
    from ldl_fer.data.paths import check_pictures_of
    from ldl_fer.preparation.affect.partial_annotations import SOURCE

    check_pictures_of(annotations_path, image_dir)
    if output is None:
        return
    if same_file(annotations_path, output):
        raise InputError(f"{output} is the input itself. Name another --output.")
    check_replaceable(output, *(marks or (SOURCE,)))


def _fill_csv(
    annotations_path: str,
    image_dir: str,
    output: str,
    model: "Affect",
    class_names: Sequence[str],
    overwrite: bool,
    batch_size: int,
    flagged: bool,
) -> None:
    """Fills a CSV by a model; prints means by class, warnings and agreement.

    `flagged`: flags say how the model is fed and read.
    """
    import numpy as np

    from ldl_fer.data.annotation_checks import NEIGHBORS
    from ldl_fer.preparation.affect.agreement import agreement, agreement_table
    from ldl_fer.preparation.affect.filling import class_table, fill, warnings_of
    from ldl_fer.preparation.affect.partial_annotations import read_partial_annotations

    partial = read_partial_annotations(annotations_path, class_names, image_dir)
    filled, rows, values = fill(partial, model, image_dir, overwrite, batch_size)
    filled.write(output)
    print(class_table(partial, rows, values))
    given = partial.valence_arousal[rows]
    known = np.isfinite(given).all(axis=1)
    warnings = warnings_of(partial, rows, values, flagged)
    if known.sum() > 1:
        found = agreement(given[known], values[known].clip(-1.0, 1.0))
        print(f"\nAgreement with the values that were there:\n{agreement_table(found)}")
        warnings += _poor(found, flagged)
    _warn(warnings)
    stale = NEIGHBORS in partial.texts and NEIGHBORS not in filled.texts
    dropped = "; knn dropped, it was of other values" if stale else ""
    print(f"\n{output}: {len(rows):,} of {len(partial):,} rows filled by {model.source}{dropped}")


def _poor(found: dict, flagged: bool) -> list[str]:
    """Returns a sentence for each axis on which a constant would agree better."""
    from ldl_fer.preparation.affect.agreement import worse_than_constant

    cure = (
        "Are --columns, --channels and the scaling of the pixels right?"
        if flagged
        else "It was trained on other faces than these; train it on faces as these are."
    )
    return [f"{text}. {cure}" for text in worse_than_constant(found)]


def _evaluate(given: flags.FlagValues) -> None:
    """Prints how a model agrees with the values of a CSV; writes it as JSON where that is asked."""
    check_paths(given.annotations, given.image_dir, given.output, '"pearson"', '"model"')

    from ldl_fer.preparation.affect.agreement import agreement_table
    from ldl_fer.preparation.affect.evaluation import evaluate_model
    from ldl_fer.preparation.affect.partial_annotations import read_partial_annotations

    partial = read_partial_annotations(given.annotations, given.class_names, given.image_dir)
    model, flagged = _model(given)
    found, warnings = evaluate_model(partial, model, given.image_dir, given.batch_size)
    if found["left_out"]:
        print(f"{given.annotations}: {found['left_out']:,} rows without values are left out.")
    print(f"{model.source}, 95 % bootstrap intervals\n{agreement_table(found)}")
    _warn(warnings + _poor(found, flagged))
    if given.output:
        write_whole(given.output, json.dumps({"model": model.source} | found, indent=2) + "\n")


def _train(given: flags.FlagValues) -> None:
    from ldl_fer.data.paths import check_data, check_pretrained
    from ldl_fer.preparation.affect.regression_sets import check_sources

    config = config_from_flags()
    check_sources(config.data)
    check_data(config.data.train_data_path, config.data.val_data_path, given.test_data_path)
    check_pretrained(config.network)

    from ldl_fer.preparation.affect.agreement import agreement_table
    from ldl_fer.preparation.affect.course import advice, course_of
    from ldl_fer.preparation.affect.regressor import train_regressor
    from ldl_fer.training.run import Run

    found = train_regressor(config, given.test_data_path, given.test_image_dir)
    for name, measured in found.items():
        print(f"\n{name}, 95 % bootstrap intervals\n{agreement_table(measured)}")
    log = Run(config.run.run_dir).log
    _warn(advice(found, course_of(log["ccc"], log["val_ccc"])))
    print(f"\n{config.run.run_dir}: metrics.json, saved_model/ for `predict --model`")


def _warn(texts: Iterable[str]) -> None:
    """Prints sentences as warnings."""
    for text in texts:
        print(f"warning: {text}", file=sys.stderr)
