"""Small annotation CSVs and their problems, for the tests of reading and checking."""

import pytest

from ldl_fer.data.annotation_checks import AnnotationError
from ldl_fer.data.annotations import read_annotations
from ldl_fer.errors import InputError

HEADER = "subDirectory_filePath,expression,valence,arousal"
GOOD = ("a.png,0,0.25,-1", "b.png,6,1,0.1", "c/d.png,3,-0.5,0")


def csv_file(folder, *rows, header=HEADER, end="\n", encoding="utf-8"):
    path = folder / "a.csv"
    path.write_bytes("".join(line + end for line in (header, *rows)).encode(encoding))
    return path


def problems_of(path, **arguments):
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path, progress=False, **arguments)
    assert isinstance(caught.value, InputError)
    return caught.value.problems
