"""All readers: published totals, and files that are missing."""

from helpers.data_set_copies import complaint, raf_db

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.datasets import READERS


def test_published_counts_add_up_to_the_published_totals():
    totals = {
        name: {split: sum(counts) for split, counts in reader.published_counts.items()}
        for name, reader in READERS.items()
    }
    assert totals == {
        "raf_db": {"train": 12271, "test": 3068},
        "affectnet": {"train": 283901, "val": 3500},
        "sfew": {"train": 958, "val": 436},
        "ferplus": {},
        "fer2013": {"train": 28709, "val": 3589, "test": 3589},
        "ck_plus": {"all": 981 - 54},  # 54 of contempt
        "class_folders": {},
        "expw": {},
        "kdef": {"all": 4900 // 5},  # of one view
        "imagefolder": {},
        "parquet": {},
    }
    for reader in READERS.values():
        assert set(CLASS_NAMES) - set(reader.label_order) <= {"Neutral"}
        assert all(len(counts) == 7 for counts in reader.published_counts.values())


def test_missing_files_are_named_with_where_they_were_sought(tmp_path):
    text = complaint("raf_db", tmp_path)
    assert "EmoLabel/list_patition_label.txt, list_patition_label.txt, basic/" in text
    assert "Unpack original.zip there" in complaint(
        "raf_db", raf_db(tmp_path / "raf"), pictures="original"
    )
    assert "does not exist" in complaint("raf_db", tmp_path / "none")
    assert "no train, val; looked for training.csv" in complaint("affectnet", tmp_path)
    assert "no train, val, test; looked for Train_Aligned_Faces" in complaint("sfew", tmp_path)
    assert "fer2013new.csv" in complaint("ferplus", tmp_path)
    assert "fer2013.csv" in complaint("fer2013", tmp_path)
