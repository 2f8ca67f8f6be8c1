"""KDEF, the Karolinska Directed Emotional Faces (Lundqvist, Flykt and Öhman, 1998).

    ROOT/AF01/AF01ANS.JPG    or in ROOT/KDEF, ROOT/KDEF_and_AKDEF/KDEF, or all in one folder

A name has the session (A, B), the sex (F, M), the person (01 to 35), the expression (AF afraid, AN
angry, DI disgusted, HA happy, NE neutral, SA sad, SU surprised) and the view (FL and FR full
profiles, HL and HR half ones, S straight). --views=straight reads S, `half` also HL and HR, `all`
all five. Two names of the download lack letters (AF31V.JPG, AM31H.JPG): they are left out and
counted. The person, F01, is carried as `subject`: see --test_fraction. There is no split, no
valence and arousal.
"""

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from ldl_fer.data.annotation_checks import PATH
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ALL, ORIGINAL, SPLIT, SUBJECT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import found, pictures_under

_CODES = {
    "AF": "Fear",
    "AN": "Anger",
    "DI": "Disgust",
    "HA": "Happy",
    "NE": "Neutral",
    "SA": "Sad",
    "SU": "Surprise",
}
LABEL_ORDER = tuple(_CODES.values())
_NAME = re.compile(rf"[AB]([FM]\d\d)({'|'.join(_CODES)})(S|HL|HR|FL|FR)", re.IGNORECASE)
_VIEWS = {"straight": ("S",), "half": ("S", "HL", "HR"), "all": ("S", "HL", "HR", "FL", "FR")}
_HOMES = ("KDEF_and_AKDEF/KDEF", "KDEF")


def kdef_rows(root: Path, splits: tuple[str, ...], views: str) -> Rows:
    """Reads the rows of the pictures' names; see `Reader.rows`.

    Args:
      views: a key of `_VIEWS`.

    Raises:
      InputError: no picture is called as those of KDEF.
    """
    home = wanted_splits({ALL: found(root, _HOMES) or root}, splits, root, "pictures")[ALL]
    start, left_out = home.relative_to(root), Counter[tuple[str, str]]()
    rows = []
    for path in pictures_under(home)[0]:
        name = _NAME.fullmatch(Path(path).stem)
        if name is None:
            left_out[ALL, "not called as pictures of KDEF"] += 1
        elif name[3].upper() not in _VIEWS[views]:
            left_out[ALL, f"another view than --views={views}"] += 1
        else:
            code = name[2].upper()
            rows.append(((start / path).as_posix(), _CODES[code], ALL, code, name[1].upper()))
    if not rows:
        raise InputError(
            f"{root}: no picture is called such as AF01ANS.JPG. Give KDEF's folder as --root."
        )
    return Rows(pd.DataFrame(rows, columns=[PATH, CLASS, SPLIT, ORIGINAL, SUBJECT]), left_out)


READER = Reader(
    name="kdef",
    title="KDEF",
    rows=kdef_rows,
    label_order=LABEL_ORDER,
    published_counts={ALL: (140,) * 7},  # of one view: 70 persons, two sessions
    options={"views": "straight"},
)
