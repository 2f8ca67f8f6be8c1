"""CK+48: the last three frames of CK+'s sequences (Lucey et al., CVPRW 2010), as shared on Kaggle.

    ROOT/anger/S010_004_00000017.png
    ROOT/contempt, disgust, fear, happy, sadness, surprise    (or in ROOT/CK+48)

There is no neutral, no split, no valence and arousal. Contempt is left out unless it is among
--class_names. The person, S010, is carried as `subject`: a test set should hold other people than
the training set, see --test_fraction.
"""

from pathlib import Path

from ldl_fer.data.annotation_checks import PATH
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.class_folders import folder_rows
from ldl_fer.preparation.datasets.data_set import ALL, SUBJECT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, one_name, wanted_splits
from ldl_fer.preparation.datasets.source_files import must_find

LABEL_ORDER = ("Anger", "Contempt", "Disgust", "Fear", "Happy", "Sad", "Surprise")


def ck_plus_rows(root: Path, splits: tuple[str, ...]) -> Rows:
    """Reads the rows of the class folders; see `Reader.rows`.

    Raises:
      InputError: the folders are not there, or have another name than CK+'s.
    """
    home = must_find(root, ("CK+48/anger", "anger"), "CK+48", "Give its folder as --root.").parent
    rows = folder_rows(root, wanted_splits({ALL: home}, splits, root, "class folders"))
    strange = sorted(set(rows.table[CLASS]) - {one_name(name) for name in LABEL_ORDER})
    if strange:
        raise InputError(
            f"{home}: {', '.join(strange)} is no class of CK+48. Move it away, or read the folder "
            "as class_folders."
        )
    names = rows.table[PATH].str.rpartition("/")[2]
    subjects = names.str.extract(r"^(S\d+)_", expand=False)
    if subjects.isna().any():
        raise InputError(
            f"{home}: {names[subjects.isna()].iloc[0]} does not start with a person such as S010_. "
            "Read the folder as class_folders if it is not CK+48."
        )
    return Rows(rows.table.assign(**{SUBJECT: subjects}), rows.left_out)


READER = Reader(
    name="ck_plus",
    title="CK+48",
    rows=ck_plus_rows,
    label_order=LABEL_ORDER,
    published_counts={ALL: (0, 207, 84, 249, 75, 177, 135)},
)
