"""Turns the rows of a layout into a checked `DataSet`: the reader that all layouts share."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.data.annotation_checks import (
    AROUSAL,
    BOX,
    LABEL,
    PATH,
    VALENCE,
    AnnotationError,
    check_paths,
    vote_columns,
)
from ldl_fer.data.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ALL, ORIGINAL, SPLIT, DataSet
from ldl_fer.preparation.datasets.source_files import missing

CLASS = "class_name"  # column of `Rows.table`
_SHOWN = 5  # missing pictures that a message lists
_SYNONYMS = {
    "Neutral": ("neutral", "neutrality", "normal", "ne"),
    "Happy": ("happy", "happiness", "happily", "joy", "ha"),
    "Sad": ("sad", "sadness", "sa"),
    "Surprise": ("surprise", "surprised", "surprising", "su"),
    "Fear": ("fear", "fearful", "afraid", "scared", "fe"),
    "Disgust": ("disgust", "disgusted", "di"),
    "Anger": ("anger", "angry", "an"),
    "Contempt": ("contempt", "contemptuous", "co"),
}
_NAME_OF = {word: name for name, words in _SYNONYMS.items() for word in words}


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a layout, before classes become numbers.

    Attributes:
      table: a row per picture: PATH under the root; CLASS, a name as `one_name` gives it; SPLIT;
        ORIGINAL, the label as the data set writes it; VALENCE and AROUSAL if it has them; columns
        votes_<class> and others are carried along.
      left_out: (split, reason) -> number of rows not in the table.
      picture: path -> picture file, for pictures that are not files yet; None: they are.
    """

    table: pd.DataFrame
    left_out: Counter = dataclasses.field(default_factory=Counter)
    picture: Callable[[str], bytes] | None = None


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader of one layout.

    Attributes:
      name: argument of the command.
      title: the data set's name.
      rows: (root, splits, **options) -> `Rows`; `splits` are those wanted, all if empty.
      label_order: classes in the order of the data set's own numbers, or of its class folders.
      published_counts: split -> rows per class, in the order of `CLASS_NAMES`; empty: none known.
      options: name -> default of arguments that `rows` takes beside root and splits.
      only_known: a class that is not among the class names is a mistake; else it is left out.
      photos: pictures are whole photos, and each row has the box of its face.
    """

    name: str
    title: str
    rows: Callable[..., Rows]
    label_order: tuple[str, ...]
    published_counts: Mapping[str, tuple[int, ...]]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    only_known: bool = False
    photos: bool = False

    def published(self, split: str, class_names: Sequence[str]) -> list[int | None]:
        """Returns published rows per class, in the order given; None where none is known."""
        counts = self.all_published(split)
        count_of = dict(zip(map(one_name, CLASS_NAMES), counts, strict=False))
        return [count_of.get(one_name(name)) for name in class_names]

    def all_published(self, split: str) -> tuple[int, ...]:
        """Returns published rows per class, as `published_counts` has them; of "all" the sums."""
        if split == ALL and ALL not in self.published_counts:
            return tuple(map(sum, zip(*self.published_counts.values(), strict=True)))
        return self.published_counts.get(split, ())

    def read(
        self,
        root: str | Path,
        splits: Sequence[str] = (),
        class_names: Sequence[str] | None = None,
        skip_missing: bool = False,
        **options: Any,
    ) -> DataSet:
        """Reads the data set; writes nothing.

        Args:
          root: folder of the download.
          splits: those wanted; empty: all that are there.
          class_names: C names in the order of `expression`, in any spelling that `one_name` knows;
            None: `CLASS_NAMES`.
          skip_missing: leave out pictures that are listed and not there.
          options: of this reader.

        Raises:
          InputError: an argument or a file is wrong.
        """
        root, names = Path(root), tuple(class_names or CLASS_NAMES)
        if not root.is_dir():
            raise InputError(
                f"the folder {root} does not exist. Give that of {self.title} as --root."
            )
        strange = sorted(set(options) - set(self.options))
        if strange:
            raise InputError(
                f"{self.name} does not use {', '.join('--' + name for name in strange)}; "
                "leave it out. See --help."
            )
        rows = self.rows(root, tuple(splits), **{**self.options, **options})
        left_out = Counter(rows.left_out)
        again = rows.table.duplicated([SPLIT, PATH, *(BOX if self.photos else ())])
        left_out.update((split, "listed a second time") for split in rows.table[SPLIT][again])
        table = self._numbered(rows.table[~again], names, left_out, root)
        if rows.picture is None:
            table = _present(table, root, skip_missing, left_out)
        parts = dict(iter(table.groupby(SPLIT, sort=False)))
        absent = [split for split in splits if split not in parts]
        if absent or not parts:
            reasons = [f"{n} of {split}: {reason}" for (split, reason), n in left_out.items()]
            raise InputError(
                f"{root}: no row is left of {', '.join(absent) or 'any split'} (left out: "
                f"{'; '.join(reasons) or 'none'}). See --help for the layout."
            )
        problems = []
        for part in parts.values():
            boxes = part[list(BOX)].astype(str).agg(" ".join, axis=1) if self.photos else None
            boxes = None if boxes is None else boxes.tolist()
            problems += check_paths(part[PATH].tolist(), boxes)
        if problems:
            raise AnnotationError(root, [(None, text) for _, text in problems])
        return DataSet(
            {s: Annotations(part.reset_index(drop=True), names) for s, part in parts.items()},
            left_out,
            root if rows.picture is None else None,
            rows.picture,
        )

    def _numbered(
        self, table: pd.DataFrame, class_names: tuple[str, ...], left_out: Counter, root: Path
    ) -> pd.DataFrame:
        """Returns the table with class numbers, our columns first; counts rows of other classes."""
        number_of = {one_name(name): number for number, name in enumerate(class_names)}
        if len(number_of) < len(class_names):
            raise InputError(f"--class_names={','.join(class_names)} names a class twice.")
        other = ~table[CLASS].isin(number_of)
        if self.only_known and other.any():
            strange = set(zip(table[ORIGINAL][other], table[CLASS][other], strict=True))
            shown = [o if one_name(o) == name else f"{o} ({name})" for o, name in sorted(strange)]
            raise InputError(
                f"{root}: {', '.join(shown)}: no such class; there "
                f"are {', '.join(class_names)}. Say what it is by --map=FOLDER=Class, leave it out "
                "by --leave_out=FOLDER, or name all classes by --class_names."
            )
        for (split, name), rows in table[other].groupby([SPLIT, CLASS], sort=False).size().items():
            left_out[split, f"{name}, not among the classes"] += int(rows)
        kept = table[~other]
        kept = kept.assign(**{LABEL: kept[CLASS].map(number_of).astype(np.int64)})
        for name in {VALENCE, AROUSAL} - set(kept):
            kept[name] = np.nan
        votes = dict(zip(number_of, vote_columns(class_names), strict=True))
        kept = kept.rename(columns={f"votes_{name.lower()}": ours for name, ours in votes.items()})
        first = [PATH, LABEL, VALENCE, AROUSAL, SPLIT, ORIGINAL]
        first += [name for name in votes.values() if name in kept]
        return kept[first + [name for name in kept if name not in (*first, CLASS)]]


def one_name(word: str) -> str:
    """Returns the name of an emotion for any of its synonyms, in any case ("angry": "Anger").

    Another word is returned in lower case, without the blanks around it.
    """
    word = word.strip().lower()
    return _NAME_OF.get(word, word)


def is_emotion(word: str) -> bool:
    """Says whether a word is a synonym of an emotion, see `one_name`."""
    return word.strip().lower() in _NAME_OF


def map_entries(entries: Sequence[str], what: str) -> list[tuple[str, str]]:
    """Returns the entries of --map: a folder or value, in lower case, and the class it means.

    Args:
      entries: of the form WHAT=Class.
      what: the word for its left side, in messages.

    Raises:
      InputError: an entry is not of this form.
    """
    pairs = list[tuple[str, str]]()
    for entry in entries:
        value, _, name = entry.rpartition("=")
        if not value.strip() or not name.strip():
            raise InputError(f"--map={entry} is not {what}=Class, such as --map=4=Happy.")
        pairs.append((value.strip().lower(), name))
    return pairs


def wanted_splits(
    there: Mapping[str, Any], splits: Sequence[str], root: Path, sought: str
) -> dict[str, Any]:
    """Returns those of a layout's splits that are there and wanted.

    Args:
      there: split -> its file or folder, None where there is none.
      splits: those wanted; empty: all.
      root: the data set's folder, for messages.
      sought: files that were looked for, for messages.

    Raises:
      InputError: a wanted split is not there, or none is.
    """
    strange = [split for split in splits if split not in there]
    if strange:
        raise InputError(f"--split={','.join(strange)}: the splits are {', '.join(there)}.")
    chosen = {
        s: place for s, place in there.items() if place is not None and s in (splits or there)
    }
    absent = [split for split in splits or there if split not in chosen]
    if absent and (splits or not chosen):
        raise InputError(f"{root} has no {', '.join(absent)}; looked for {sought}.")
    return chosen


def _present(table: pd.DataFrame, root: Path, skip: bool, left_out: Counter) -> pd.DataFrame:
    """Returns the rows whose picture is there; counts the others, or raises InputError."""
    paths = table[PATH].tolist()
    absent = missing(paths, root)
    if not absent:
        return table
    if not skip or len(absent) == len(paths):
        shown = "".join(f"\n  {paths[position]}" for position in absent[:_SHOWN])
        more = f"\n  and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        cure = "Give the folder that holds them as --root"
        cure += ", or leave them out by --skip_missing." if len(absent) < len(paths) else "."
        raise InputError(
            f"{root}: {len(absent)} of {len(paths)} pictures that are listed are not there:"
            f"{shown}{more}\n{cure}"
        )
    for split, rows in table.iloc[absent].groupby(SPLIT, sort=False):
        left_out[split, f"no picture (the first is {rows[PATH].iloc[0]})"] += len(rows)
    return table.drop(index=table.index[absent])
