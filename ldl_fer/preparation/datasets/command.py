"""Writes annotation CSV files from a data set as it was downloaded.

    ldl-fer datasets raf_db --root=RAF-DB/basic --output=data/raf_db

    raf_db         RAF-DB, basic emotions: list_patition_label.txt and Image/aligned; train/1, ...
    affectnet      training.csv and validation.csv, or train_set and val_set with .npy files
    sfew           SFEW 2.0: Train_Aligned_Faces/Angry, Val_Aligned_Faces/Angry, ...
    ferplus        FER+: fer2013new.csv with fer2013.csv, or with FER2013Train/fer0000000.png, ...
    fer2013        FER2013 with its own labels: fer2013.csv
    ck_plus        CK+48: anger/S010_004_00000017.png, ...
    class_folders  your own: [train/]happy/1.png, [train/]angry/2.png, ...
    expw           ExpW: label/label.lst and image/origin
    kdef           KDEF: AF01/AF01ANS.JPG, ...
    imagefolder    Hugging Face's: [train/]metadata.csv or .jsonl beside pictures
    parquet        Hugging Face's: data/train-00000-of-00001.parquet, pictures in it

    ldl-fer datasets NAME --help       one layout in full, and all flags

The output folder gets train.csv, val.csv, test.csv (those there are; all.csv where there are no
splits) and dataset.json, a record. `expression` is in the order of --class_names, the original
label is kept in original_label. Nothing is written if anything is wrong, and pictures stay where
they are: give --root as the image folder of further commands. (Pictures of fer2013, ferplus and
parquet become files, see --image_dir.) Counts are printed beside the published ones.

Where a data set has no valence and arousal, these cells are empty; `ldl-fer affect` fills
them. LDLVA, --method=ldl_alsg and --method=la_net need them for training, other methods and
evaluations do not.
"""

import ast
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from ldl_fer.config import command_line
from ldl_fer.config.help import subject
from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets import NAMES
from ldl_fer.preparation.datasets.vote_rules import RULES

if TYPE_CHECKING:
    from ldl_fer.preparation.datasets.data_set import DataSet


def run() -> None:
    """Starts the command."""
    text = _layout(sys.argv[1:])
    command_line.start(main, _define_flags, text, positional="the name of a data set")


def next_steps(data_set: "DataSet", files: dict[str, Path], images: Path, photos: bool) -> str:
    """Returns the commands to run next, for files as `DataSet.write` returns them.

    With `photos`, faces are cut out first.
    """
    from ldl_fer.preparation.datasets.data_set import ALL

    names = next(iter(data_set.splits.values())).class_names
    classes = [] if names == CLASS_NAMES else [f"--class_names={','.join(names)}"]
    text: list[str] = []
    paths = dict(files)
    if photos:
        text.append("Its pictures are whole photos. Cut out the faces at the boxes:")
        folder = next(iter(files.values())).parent / "aligned"
        for split, file in files.items():
            given = [f"--annotations={file}", f"--image_dir={images}", f"--output_dir={folder}"]
            text.append(f"  {shlex.join(['ldl-fer', 'faces', *given])} --detector=YUNET.onnx")
            paths[split] = folder / file.name
        images = folder / "images"
    training = next((s for s in ("train", ALL) if s in files), None)
    if training is None:
        text.append("Next: ldl-fer evaluate with a run's --run_dir.")
        return "\n".join(text)
    if data_set.has_valence_arousal(training):
        text.append("Next:")
    else:
        text.append("It has no valence and arousal, which training needs. Fill them by a model:")
        file = paths[training]
        paths[training] = file.with_name(f"{file.stem}_va.csv")
        given = [f"--annotations={file}", f"--image_dir={images}", f"--output={paths[training]}"]
        command = ["ldl-fer", "affect", "predict", *given, *classes]
        text.append(f"  {shlex.join(command)} --model=MODEL")
        text.append(
            "or, for want of one, by `prototypes --classifier=RUN` in the place of `predict "
            "--model=MODEL`; ldl-fer train --method=cross_entropy makes RUN from the CSV as it is. "
            "Then:"
        )
    given = [f"--train_data_path={paths[training]}", f"--train_image_dir={images}"]
    if "val" in files and "test" in files:
        given += [f"--val_data_path={paths['val']}", f"--val_image_dir={images}"]
    text.append("  " + shlex.join(["ldl-fer", "train", "--preset=small", *given, *classes]))
    if training == ALL:
        text.append("There is no test set; --test_fraction=0.2 makes one.")
    elif "val" in files and "test" not in files:
        text.append("Papers test on val here; ldl-fer train chooses the epoch on a tenth of train.")
    return "\n".join(text)


def absent_classes(data_set: "DataSet") -> str:
    """Returns advice on classes that no split has a picture of; empty if there are none."""
    names = next(iter(data_set.splits.values())).class_names
    counts = zip(*(data_set.counts(split) for split in data_set.splits), strict=True)
    left = [name for name, found in zip(names, counts, strict=True) if any(found)]
    absent = [name for name in names if name not in left]
    if not absent:
        return ""
    return (
        f"No picture of {', '.join(absent)}. For a network without it, read the data set again by "
        f"{shlex.quote('--class_names=' + ','.join(left))}\n"
    )


def main(names: list[str]) -> None:
    given = flags.FLAGS
    if len(names) > 1 and names[0] in NAMES:
        meant = shlex.quote(f"--root={names[1]}")
        raise InputError(f"unexpected {names[1]!r}; did you mean {meant}? See --help.")
    if len(names) != 1 or names[0] not in NAMES:
        raise InputError(f"name one data set: {', '.join(NAMES)}. See --help.")
    from ldl_fer.preparation.datasets import READERS
    from ldl_fer.preparation.datasets.class_folders import map_doubts
    from ldl_fer.preparation.datasets.count_table import count_table

    reader = READERS[names[0]]
    if given.root is None:
        raise InputError(
            f"--root is missing: ldl-fer datasets {reader.name} --root=FOLDER, the folder of "
            f"{reader.title} as it was downloaded."
        )
    options = ("pictures", "rule", "min_votes", "map", "leave_out", "label_column", "views")
    chosen = {name: getattr(given, name) for name in options if getattr(given, name) is not None}
    data_set = reader.read(given.root, given.split, given.class_names, given.skip_missing, **chosen)
    doubts = map_doubts(data_set) if reader.name == "class_folders" else []
    if given.test_fraction is not None:
        data_set = data_set.with_test_part(given.test_fraction, given.seed)
    if given.image_dir and data_set.picture is None:
        raise InputError("--image_dir: the pictures are files already; leave it out.")
    info = {"reader": reader.name, "title": reader.title, "root": str(given.root)} | chosen
    if given.test_fraction is not None:
        info |= {"test_fraction": given.test_fraction, "seed": given.seed}
    output = given.output or f"data/{reader.name}"
    files, images = data_set.write(output, given.image_dir, info, overwrite=given.overwrite)
    print(count_table(reader, data_set))
    if absent := absent_classes(data_set):
        print(f"\n{absent}", end="")
    print(f"\nWritten: {', '.join(map(str, files.values()))}; image folder: {images}\n")
    print(next_steps(data_set, files, images, reader.photos))
    for doubt in doubts:
        print(f"warning: {doubt}", file=sys.stderr)


def _define_flags() -> None:
    with subject("data set"):
        flags.DEFINE_string("root", None, "Folder of the data set as it was downloaded.")
        flags.DEFINE_string(
            "output", None, "Folder to write, or for one split a .csv file. (default: data/NAME)"
        )
        flags.DEFINE_list("split", [], "Splits to read: train, val, test. (default: all there are)")
        flags.DEFINE_list(
            "class_names",
            list(CLASS_NAMES),
            "Names of the classes, in the order of `expression`; pictures of others are left out.",
        )
        flags.DEFINE_bool("overwrite", False, "Replace CSV files that are there and differ.")
        flags.DEFINE_bool(
            "skip_missing", False, "Leave out pictures that are listed and not there."
        )
    with subject("of some data sets"):
        flags.DEFINE_enum(
            "pictures", None, ("aligned", "original"), "Of raf_db and sfew. (default: aligned)"
        )
        flags.DEFINE_enum(
            "rule", None, RULES, "Of ferplus: from votes to a label. (default: majority)"
        )
        flags.DEFINE_integer("min_votes", None, "Of ferplus: fewest votes for --rule=votes.", 1)
        flags.DEFINE_list("map", None, "Of class_folders, imagefolder, parquet: 4=Happy,5=Sad, ...")
        flags.DEFINE_list("leave_out", None, "Of class_folders: folders to leave out.")
        flags.DEFINE_string(
            "label_column", None, "Of imagefolder and parquet. (default: label, emotion, ...)"
        )
        flags.DEFINE_enum(
            "views", None, ("straight", "half", "all"), "Of kdef: heads. (default: straight)"
        )
        flags.DEFINE_string(
            "image_dir",
            None,
            "Of ferplus, fer2013, parquet: folder for pictures. (default: images beside the CSV)",
        )
        flags.DEFINE_float(
            "test_fraction",
            None,
            "Of a data set without splits: part in (0, 1) to test on; of persons, where known.",
        )
        flags.DEFINE_integer("seed", 0, "Another seed is another --test_fraction.", 0)


def _layout(arguments: list[str]) -> str:
    """Returns the help of the data set that the arguments name, else the command's own."""
    name = next((word for word in arguments if word in NAMES), None)
    if name is None:
        return __doc__
    reader = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return str(ast.get_docstring(ast.parse(reader)))
