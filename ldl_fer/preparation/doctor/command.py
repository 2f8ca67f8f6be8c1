"""Looks for what makes training on a data set a mistake, before you train.

    ldl-fer doctor --train=train.csv --val=val.csv --test=test.csv --image_dir=images \\
        --detector=yunet.onnx --output=doctor.json

It reads the annotation CSVs (one of them is enough) and every picture, and reports what is fine,
what is doubtful and what is a mistake, with rows and cure:
    cells                  that training would refuse
    classes                absent, rare, strongly unbalanced
    published counts       rows per class beside those of the data set's paper (--dataset)
    label order            numbers of `expression` that look like another data set's order, also
                           by a wrong --map of class folders
    valence-arousal        absent; far from what its class usually has
    neighbors              how many have the same label, beside chance (training set); by landmarks,
                           too, where they lie beside the CSV
    pictures               unreadable, tiny, blank, without a face
    duplicates             identical and near duplicates, within and across splits, mirrored ones
                           too; labels that contradict each other

Exit code: 0 nothing forbids training; 1 there is a mistake; 2 flags or files that cannot be used.
The JSON has all rows of each finding, the report the first few. Nothing is changed.
"""

from absl import flags

from ldl_fer.config import Config, command_line
from ldl_fer.config.flags import config_from_flags, define_flags_of
from ldl_fer.config.help import subject
from ldl_fer.config.settings import AUXILIARY_SETTINGS, CLASS_NAMES, DataConfig
from ldl_fer.errors import InputError
from ldl_fer.files import check_replaceable
from ldl_fer.preparation.doctor import CORRELATION, TINY

_SPLITS = ("train", "val", "test")
_MISTAKES = 1  # exit code


def run() -> None:
    """Starts the command."""
    command_line.start(main, _define_flags, __doc__)


def _define_flags() -> None:
    with subject("data"):
        flags.DEFINE_string("train", None, "Annotation CSV of the training images.")
        flags.DEFINE_string("val", None, "Annotation CSV of the validation images.")
        flags.DEFINE_string("test", None, "Annotation CSV of the test images.")
        flags.DEFINE_list(
            "image_dir",
            None,
            "Folder that the paths start from: one for all CSVs, or one for each that is given, "
            "comma separated, in the order train, val, test.",
            required=True,
        )
        flags.DEFINE_list(
            "class_names", list(CLASS_NAMES), "Names of the classes, in the order of `expression`."
        )
        flags.DEFINE_string(
            "dataset",
            None,
            "Name of the data set, as `ldl-fer datasets` has it, for published counts and "
            "label order. Left out: guessed from the number of rows.",
        )
    with subject("checks"):
        flags.DEFINE_string(
            "detector",
            None,
            "YuNet's .onnx file, to look for pictures without a face. Left out: not looked for "
            "(the cascade that OpenCV brings along overlooks one face in four of small crops).",
        )
        flags.DEFINE_integer(
            "num_neighbors",
            DataConfig().num_neighbors,
            "K, neighbors whose labels are compared; 0 for a method that reads none, as "
            "cross_entropy: it needs no valence-arousal.",
            lower_bound=0,
        )
        define_flags_of("data", AUXILIARY_SETTINGS)
        flags.DEFINE_integer(
            "min_side",
            TINY,
            "Pictures with a shorter side below this are tiny, pixels.",
            lower_bound=1,
        )
        flags.DEFINE_float(
            "correlation",
            CORRELATION,
            "Pictures that correlate at least so much are near duplicates, in [0.8, 1]. At 0.93 "
            "one in six pairs is of two people, at 0.95 hardly any.",
            0.8,
            1.0,
        )
    with subject("report"):
        flags.DEFINE_string("output", None, "JSON to write. Left out: only the report is printed.")
        flags.DEFINE_integer("rows", 5, "Rows of each finding that are printed.", lower_bound=0)


def main() -> int:
    from ldl_fer.preparation.doctor.examination import examine
    from ldl_fer.preparation.doctor.finding import MISTAKE
    from ldl_fer.preparation.doctor.picture_checks import MIN_SCORE
    from ldl_fer.preparation.doctor.report import as_text, write_report
    from ldl_fer.preparation.doctor.split import read_split
    from ldl_fer.preparation.faces.detector import FaceDetector

    given = flags.FLAGS
    csvs = {name: str(given[name].value) for name in _SPLITS if given[name].value}
    folders = given.image_dir * len(csvs) if len(given.image_dir) == 1 else given.image_dir
    if len(folders) != len(csvs):
        raise InputError(
            f"--image_dir names {len(folders)} folders for {len(csvs)} CSV files. Name one for "
            "all, or one for each of --train, --val and --test that you give."
        )
    if given.output:
        check_replaceable(given.output, '"verdict"', '"mistakes"')
    splits = [
        read_split(name, path, folder, given.class_names)
        for (name, path), folder in zip(csvs.items(), folders, strict=True)
    ]
    findings = examine(
        splits,
        given.dataset,
        FaceDetector(given.detector, MIN_SCORE) if given.detector else None,
        given.num_neighbors,
        given.min_side,
        given.correlation,
        data=config_from_flags(Config(), AUXILIARY_SETTINGS).data,
    )
    if given.output:
        write_report(given.output, findings, splits)
    print(as_text(findings, given.rows))
    return _MISTAKES if any(finding.level == MISTAKE for finding in findings) else 0
