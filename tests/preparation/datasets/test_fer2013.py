"""FER2013 on a made-up copy of its CSV."""

from helpers.data_set_copies import fer2013

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.datasets import READERS


def test_counts_from_anger(tmp_path):
    usages = ["Training"] * 5 + ["PublicTest", "PrivateTest"]
    fer2013(tmp_path, [(n, n, usage) for n, usage in enumerate(usages)])
    data_set = READERS["fer2013"].read(tmp_path)
    names = {
        split: [CLASS_NAMES[label] for label in annotations.labels]
        for split, annotations in data_set.splits.items()
    }
    assert names == {
        "train": ["Anger", "Disgust", "Fear", "Happy", "Sad"],
        "val": ["Surprise"],
        "test": ["Neutral"],
    }
    assert data_set.splits["test"].paths == ["test/0000006.png"]
    assert data_set.picture("test/0000006.png")[1:4] == b"PNG"
    assert list(READERS["fer2013"].read(tmp_path, splits=["val"]).splits) == ["val"]
