"""Writes the label audit of a trained run: which labels are wrong? One HTML page, one CSV.

    ldl-fer audit checkpoints/mine

The page opens in any browser, from the file, without a network. It ranks the training pictures by
suspicion (the network's probability of the strongest other class, of that and the given label; or
lambda, or others) and shows of each the given and the suggested label, the constructed distribution
and the neighbors with what they contribute. Keep, relabel or drop by keys, then download the
corrected CSV and train on it:

    ldl-fer train --train_data_path=train_corrected.csv --train_image_dir=images

Train with the labels in doubt, of course: `ldl-fer train` on the data set as it is comes first.
With --folds=5, five more trainings judge each label by a network that has not seen it, beside the
run's own. That finds more wrong ones, and takes five times as long as the run did. --repeats=3 does
it three times, each label being judged by three such networks:

    ldl-fer audit checkpoints/mine --folds=5

Other tools take the audit over, and Label Studio and FiftyOne give it back:

    ldl-fer audit checkpoints/mine --export=label_studio --output=review
    ldl-fer audit checkpoints/mine --import=project.json --output=train_corrected.csv
"""

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit import COUNT, SIDE
from ldl_fer.files import check_replaceable

if TYPE_CHECKING:
    from ldl_fer.evaluation.audit.audit import Audit

_NEXT = {  # how each tool loads what was written
    "cleanlab": "find_label_issues(np.load('labels.npy'), np.load('pred_probs.npy')).",
    "label_studio": (
        "start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={parent}, paste label_config.xml as the labeling "
        "interface, add the local storage {folder}/pictures without a sync, import tasks.json."
    ),
    "fiftyone": "fo.Dataset.from_dir('{folder}', dataset_type=fo.types.FiftyOneDataset).",
    "imagefolder": "load_dataset('imagefolder', data_dir='{folder}').",
}


def run() -> None:
    """Starts `ldl-fer audit`."""
    command_line.start(main, _define_flags, __doc__, positional="the run folder")


def main(arguments: list[str]) -> None:
    from ldl_fer.training.run import Run

    settings = flags.FLAGS
    if len(arguments) != 1:
        raise InputError("give the run folder: ldl-fer audit RUN")
    run_dir = Path(arguments[0])
    Run(run_dir).check_samples()
    given = settings["import"].value
    if settings.folds:
        from ldl_fer.evaluation.audit.folds import check_folds

        check_folds(Run(run_dir), settings.folds)
    if given and settings.export:
        raise InputError("--export and --import are two steps: give one of them.")
    if given:
        _read_back(settings, run_dir, given)
    elif settings.export:
        _hand_over(settings, run_dir, settings.export)
    else:
        _write_page(settings, run_dir)


def _write_page(settings: flags.FlagValues, run_dir: Path) -> None:
    output = Path(settings.output or run_dir / "audit.html")
    check_replaceable(output, "<title>Label audit")
    found = _audit(settings, run_dir)
    _print_problems(found.write_page(output, settings.count, settings.picture_size))
    print("\n".join(found.notes))
    print(f"{output} ({output.stat().st_size / 1e6:.1f} MB): open it in a browser.")


def _hand_over(settings: flags.FlagValues, run_dir: Path, form: str) -> None:
    """Writes what another tool reads, and prints how it is loaded there."""
    folder = Path(settings.output or run_dir / f"audit_{form}")
    found = _audit(settings, run_dir)
    _print_problems(found.export(form, folder, settings.count if settings["count"].present else 0))
    print("\n".join(found.notes))
    print(f"{folder}: {_NEXT[form].format(folder=folder, parent=folder.resolve().parent)}")


def _audit(settings: flags.FlagValues, run_dir: Path) -> "Audit":
    from ldl_fer.evaluation.audit.audit import audit

    places = settings.annotations, settings.image_dir
    return audit(run_dir, *places, settings.folds, settings.repeats)


def _read_back(settings: flags.FlagValues, run_dir: Path, given: str) -> None:
    """Writes the CSV with the labels that were corrected elsewhere."""
    from ldl_fer.evaluation.audit.corrections import corrected, read_corrections
    from ldl_fer.evaluation.audit.page import REVIEW
    from ldl_fer.evaluation.audit.training_set import training_set
    from ldl_fer.files import write_whole

    training = training_set(run_dir, settings.annotations, settings.image_dir)
    output = Path(settings.output or run_dir / f"{training.name}_corrected.csv")
    check_replaceable(output, ",".join(REVIEW))
    table, counts = corrected(training.annotations, read_corrections(given, training.annotations))
    write_whole(output, table.to_csv(index=False, lineterminator="\n"))
    told = ", ".join(f"{n:,} {word}" for word, n in sorted(counts.items()))
    print(f"{output}: {len(table):,} rows; {told}. Train on it by --train_data_path.")


def _print_problems(problems: list[str]) -> None:
    for problem in problems[:10]:
        print(f"no picture: {problem}")
    if len(problems) > 10:
        print(f"no picture: {len(problems) - 10} more")


def _define_flags() -> None:
    flags.DEFINE_string(
        "output",
        None,
        "The page, the folder of --export, or the CSV of --import. (default: in the run folder)",
    )
    flags.DEFINE_integer(
        "folds",
        0,
        "Judge each label by one of so many trainings without it, too; 0: by the run's own.",
        0,
    )
    flags.DEFINE_integer(
        "repeats", 1, "How many times the labels are divided into --folds, and these trained.", 1
    )
    flags.DEFINE_enum("export", None, [*_NEXT], "Write a folder for this tool, not the page.")
    flags.DEFINE_string(
        "import", None, "JSON of Label Studio or FiftyOne: write the CSV with its labels."
    )
    flags.DEFINE_string("annotations", None, "The CSV trained on, if it was moved.")
    flags.DEFINE_string("image_dir", None, "The folder of its pictures, if it was moved.")
    flags.DEFINE_integer("count", COUNT, "How many pictures; 0: all, as for --export.", 0)
    flags.DEFINE_integer("picture_size", SIDE, "Side of a picture, pixels, at most.", 16, 1024)
