"""SFEW 2.0 (Dhall et al., ICMI 2015): frames of films.

    ROOT/Train_Aligned_Faces/Angry/*.png    or ROOT/Train/Train_Aligned_Faces, also with _new
    ROOT/Val_Aligned_Faces/...
    ROOT/Train/Angry/*.png, ROOT/Val/...    with --pictures=original: whole frames

Classes are Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise. The labels of the test set are not
public, so it is read only where Test has class folders; papers test on Val. Published counts are
those of the frames; some of these have no aligned face. There is no valence and arousal.
"""

from pathlib import Path

from ldl_fer.preparation.datasets.class_folders import folder_rows
from ldl_fer.preparation.datasets.reader import Reader, Rows, wanted_splits

LABEL_ORDER = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_WORDS = {"train": "Train", "val": "Val", "test": "Test"}


def sfew_rows(root: Path, splits: tuple[str, ...], pictures: str) -> Rows:
    """Reads the rows of the class folders; see `Reader.rows`.

    Args:
      pictures: "aligned" or "original".

    Raises:
      InputError: a split's class folders are not there.
    """
    there = {split: _home(root, word, pictures) for split, word in _WORDS.items()}
    if pictures == "aligned":
        sought = "Train_Aligned_Faces/Angry, Val_Aligned_Faces/Angry, also in Train and Val"
        sought += ". For whole frames give --pictures=original"
    else:
        sought = "Train/Angry, Val/Angry"
    return folder_rows(root, wanted_splits(there, splits, root, sought))


def _home(root: Path, word: str, pictures: str) -> Path | None:
    """Finds the folder with the class folders of a split."""
    aligned = [f"{word}_Aligned_Faces", f"{word}_Aligned_Faces_new"]
    names = aligned if pictures == "aligned" else [word]
    places = [root / outer / name for name in names for outer in ("", word, name)]
    return next((place for place in places if (place / "Angry").is_dir()), None)


READER = Reader(
    name="sfew",
    title="SFEW 2.0",
    rows=sfew_rows,
    label_order=LABEL_ORDER,
    published_counts={
        "train": (150, 198, 172, 96, 98, 66, 178),
        "val": (86, 73, 73, 57, 47, 23, 77),
    },
    options={"pictures": "aligned"},
)
