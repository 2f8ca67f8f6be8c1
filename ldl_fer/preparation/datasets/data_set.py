"""Holds a data set as it was read, annotations per split, and writes it."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from ldl_fer.config.progress import tqdm
from ldl_fer.data.annotation_checks import AROUSAL, PATH, VALENCE
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.holdout import split_annotations
from ldl_fer.errors import InputError
from ldl_fer.files import whole_file, write_whole

SPLIT, ORIGINAL, SUBJECT = "split", "original_label", "subject"
ALL = "all"  # the split of a data set that has none


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set as it was read.

    Attributes:
      splits: name -> annotations; where the data set has no valence and arousal, the columns are
        there and empty (NaN).
      left_out: (split, reason) -> number of rows that are not in the annotations.
      image_dir: folder that the paths start from; None while the pictures are not files.
      picture: path -> picture file, for pictures that are not files; None: they are.
    """

    splits: Mapping[str, Annotations]
    left_out: Counter
    image_dir: Path | None
    picture: Callable[[str], bytes] | None = None

    def counts(self, split: str) -> tuple[int, ...]:
        """Returns rows per class, in the order of the class names."""
        annotations = self.splits[split]
        classes = len(annotations.class_names)
        return tuple(np.bincount(annotations.labels, minlength=classes).tolist())

    def has_valence_arousal(self, split: str) -> bool:
        """Says whether every row of a split has valence and arousal."""
        return not self.splits[split].table[[VALENCE, AROUSAL]].isna().any(axis=None)

    def with_test_part(self, fraction: float, seed: int) -> "DataSet":
        """Divides a data set without splits into train and test.

        Where a column `subject` names persons, `fraction` of the persons, drawn, are the test set,
        so that nobody is in both sets; else `fraction` of the rows, stratified by class.

        Raises:
          InputError: it has splits of its own, the fraction is not between 0 and 1, or either part
            would be empty.
        """
        if set(self.splits) != {ALL}:
            raise InputError(
                f"--test_fraction: there are splits already ({', '.join(self.splits)}); leave it "
                "out."
            )
        (whole,) = self.splits.values()
        if SUBJECT not in whole.table:
            parts = [part.whole() for part in split_annotations(whole, fraction, seed)]
        else:
            persons = whole.table[SUBJECT]
            if not 0.0 < fraction < 1.0 or persons.nunique() < 2:
                raise InputError(
                    f"--test_fraction={fraction} must lie between 0 and 1, and there must be two "
                    f"persons or more (there is {persons.nunique()})."
                )
            draw = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
            try:
                ((train, test),) = draw.split(persons, groups=persons)
            except ValueError as error:
                raise InputError(f"--test_fraction={fraction} leaves a part empty.") from error
            parts = [whole.subset(train), whole.subset(test)]
        for name, part in zip(("train", "test"), parts, strict=True):
            part.table[SPLIT] = name
        left_out = Counter({("both", reason): n for (_, reason), n in self.left_out.items()})
        splits = dict(zip(("train", "test"), parts, strict=True))
        return dataclasses.replace(self, splits=splits, left_out=left_out)

    def write(
        self,
        output: str | Path,
        image_dir: str | Path | None = None,
        info: Mapping | None = None,
        progress: bool = True,
        overwrite: bool = False,
    ) -> tuple[dict[str, Path], Path]:
        """Writes a CSV for each split, and the pictures before it if they are not files yet.

        A picture that is there already is kept if it is the same.

        Args:
          output: a folder, for train.csv, ... and the record dataset.json; or, for one split, a
            file that ends in .csv.
          image_dir: folder for pictures that are not files yet; None: images beside the CSV files.
          info: entries of the record beside classes, counts and the folder of the pictures.
          progress: show a bar where writing pictures takes longer than two seconds.
          overwrite: replace CSV files of a reader that are there and differ.

        Returns:
          split -> file written, and the folder that the paths start from.

        Raises:
          InputError: several splits for one file, or a file is in the way or cannot be written.
        """
        output = Path(output)
        one_file = output.suffix == ".csv"
        if one_file and len(self.splits) > 1:
            raise InputError(
                f"--output={output} is one file, and there are the splits "
                f"{', '.join(self.splits)}. Name one by --split, or give a folder."
            )
        folder = output.parent if one_file else output
        files = {s: output if one_file else folder / f"{s}.csv" for s in self.splits}
        for split, file in files.items():
            _check_replaceable(file, self.splits[split].as_csv(), overwrite)
        if self.picture is not None:
            images = Path(image_dir or folder / "images")
            self._write_pictures(images, self.picture, progress)
        else:
            assert self.image_dir is not None  # pictures that are files lie somewhere
            images = self.image_dir
        for split, file in files.items():
            self.splits[split].write(file)
        if not one_file:
            names = next(iter(self.splits.values())).class_names
            record = {
                **(info or {}),
                "image_dir": str(images),
                "class_names": list(names),
                "counts": {s: dict(zip(names, self.counts(s), strict=True)) for s in self.splits},
                "left_out": [
                    {"split": split, "reason": reason, "rows": rows}
                    for (split, reason), rows in self.left_out.items()
                ],
            }
            write_whole(folder / "dataset.json", json.dumps(record, indent=2) + "\n")
        return files, images

    def _write_pictures(
        self, folder: Path, picture: Callable[[str], bytes], progress: bool
    ) -> None:
        paths = [path for annotations in self.splits.values() for path in annotations.paths]
        for path in tqdm(paths, "writing pictures", unit="picture", delay=2, disable=not progress):
            target, content = folder / path, picture(path)
            if not target.exists():
                with whole_file(target) as partial:
                    partial.write_bytes(content)
            elif target.read_bytes() != content:
                raise InputError(
                    f"{target} is another picture. Name another folder by --image_dir."
                )


def _check_replaceable(file: Path, text: str, overwrite: bool) -> None:
    """Refuses to replace a file that no reader wrote, or that was changed since, by `text`."""
    if not file.exists():
        return
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            names = lines.readline().strip().split(",")
    except OSError as error:
        raise InputError(f"{file} cannot be replaced: {error.strerror}.") from error
    if not {PATH, SPLIT, ORIGINAL} <= set(names):
        raise InputError(f"{file} was not written by a reader. Name another --output.")
    if not overwrite and file.read_bytes() != text.encode():
        raise InputError(
            f"{file} is there and differs: changes made in it would be lost. Name another "
            "--output, or replace it by --overwrite."
        )
