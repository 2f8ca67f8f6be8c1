"""ExpW, Expression in-the-Wild (Zhang, Luo, Loy and Tang, IJCV 2018).

    ROOT/label/label.lst    or ROOT/label.lst, or in ROOT/data
        lines `angry_actor_104.jpg 0 28 113 226 141 22.9362 5`: picture, number of the face in it,
        box (top, left, right, bottom, pixels), score of the box, label
    ROOT/image/origin/angry_actor_104.jpg    or ROOT/image, ROOT/origin, or in ROOT/data

0 Anger, 1 Disgust, 2 Fear, 3 Happy, 4 Sad, 5 Surprise, 6 Neutral. The pictures are whole photos,
often of several people: `ldl-fer faces` cuts out the face at each box, which is carried as face_x,
face_y, face_width, face_height; face_id and face_score are carried too. There is no split, no
valence and arousal.
"""

import math
from pathlib import Path

import pandas as pd

from ldl_fer.data.annotation_checks import BOX, PATH, AnnotationError
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets.data_set import ALL, ORIGINAL, SPLIT
from ldl_fer.preparation.datasets.reader import CLASS, Reader, Rows, wanted_splits
from ldl_fer.preparation.datasets.source_files import lines_of, must_find

LABEL_ORDER = ("Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
_LISTS = ("label/label.lst", "label.lst", "data/label/label.lst", "data/label.lst")
_PICTURES = ("image/origin", "origin", "image", "images", "data/image/origin", "data/image")


def expw_rows(root: Path, splits: tuple[str, ...]) -> Rows:
    """Reads the rows of the list; see `Reader.rows`.

    Raises:
      InputError: list or pictures are not there, or a line is not as above.
    """
    wanted_splits({ALL: root}, splits, root, "label.lst")
    listed = must_find(root, _LISTS, "ExpW's labels", "Give ExpW's folder as --root.")
    folder = must_find(root, _PICTURES, "ExpW's pictures", "Unpack origin.7z there.")
    rows, problems = [], []
    for line, text in lines_of(listed):
        name, *cells = text.rsplit(maxsplit=7)
        try:
            face, top, left, right, bottom, score = map(float, cells[:6])
            box = (left, top, right - left, bottom - top)
            fits = all(map(math.isfinite, (*box, score))) and box[2] > 0 and box[3] > 0
        except ValueError:
            fits = False
        if len(cells) != 7 or not fits:
            wanted = "such as `a.jpg 0 28 113 226 141 22.9 5`, the box with a width and a height"
            problems.append((None, f"line {line}: {text!r} is not {wanted}"))
        elif cells[6] not in map(str, range(len(LABEL_ORDER))):
            problems.append((None, f"line {line}: label {cells[6]} of {name} is none of 0 to 6"))
        else:
            path, label = (folder.relative_to(root) / name).as_posix(), int(cells[6])
            row = (path, LABEL_ORDER[label], ALL, label, *map(round, box), round(face), score)
            rows.append(row)
    if problems:
        raise AnnotationError(listed, problems)
    if not rows:
        raise InputError(f"{listed} is empty. Download it again.")
    columns = [PATH, CLASS, SPLIT, ORIGINAL, *BOX, "face_id", "face_score"]
    return Rows(pd.DataFrame(rows, columns=columns))


READER = Reader(
    name="expw",
    title="ExpW",
    rows=expw_rows,
    label_order=LABEL_ORDER,
    published_counts={},  # The counts of its paper could not be looked up.
    photos=True,
)
