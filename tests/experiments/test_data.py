"""The CSV files of experiments: noise by seed, one subset for all, both annotators' labels."""

import numpy as np
import pandas as pd
import pytest
from helpers.made_up_annotations import made_up_annotations

from ldl_fer.config.settings import CLASS_NAMES, DataConfig
from ldl_fer.data.annotations import Annotations, read_annotations
from ldl_fer.data.auxiliary import auxiliary_space
from ldl_fer.data.neighbors import neighbors_of
from ldl_fer.errors import InputError
from ldl_fer.experiments.data import Sets
from ldl_fer.experiments.tables import CLEAN, LABEL_SPACE, RANDOM_SPACE, Noise
from ldl_fer.preparation.noise.add import add_noise

ROWS = 50
FLIPPED = Noise("symmetric", 0.3)
PATH, LABEL = "subDirectory_filePath", "expression"


@pytest.fixture
def given(tmp_path):
    """A training CSV with votes, of classes that have one vote at least."""
    annotations = made_up_annotations(ROWS, votes=True)
    annotations.write(tmp_path / "train.csv")
    made_up_annotations(20, votes=True).write(tmp_path / "test.csv")
    return annotations


def sets_of(folder, made="made", **settings):
    data = DataConfig(train_data_path=str(folder / "train.csv"), class_names=CLASS_NAMES)
    test = str(folder / "test.csv")
    return Sets("my set", data, test, "images", folder / made, **settings)


def same_table(first, second):
    pd.testing.assert_frame_equal(first.table, second.table, check_dtype=False, rtol=1e-9)


def test_noise_is_that_of_the_command_and_the_clean_label_stays(given, tmp_path):
    made = read_annotations(sets_of(tmp_path).training_csv(FLIPPED, 3, union=False))
    same_table(made, add_noise(given, "symmetric", 0.3, 3))
    np.testing.assert_array_equal(made.table["clean_expression"], given.labels)
    # round(0.3 * 50)
    assert (made.labels != given.labels).sum() == 15


def test_the_same_seed_gives_the_same_file_and_another_another(given, tmp_path):
    first, second = (sets_of(tmp_path, made) for made in ("first", "second"))
    path = first.training_csv(FLIPPED, 3, union=False)
    content = path.read_bytes()
    assert second.training_csv(FLIPPED, 3, union=False).read_bytes() == content
    other = first.training_csv(FLIPPED, 4, union=False)
    assert other != path and other.read_bytes() != content
    more = first.training_csv(Noise("symmetric", 0.2), 3, union=False)
    assert more not in (path, other)
    assert " " not in str(path.name)


def test_spaces_that_are_made_for_the_experiment(given, tmp_path):
    sets = sets_of(tmp_path)
    path = sets.training_csv(FLIPPED, 3, union=False)
    made = read_annotations(path)
    agreements = {}
    for name in (RANDOM_SPACE, LABEL_SPACE):
        settings = sets.space(name, path)
        data = DataConfig(**settings)
        space = auxiliary_space(made, data, path)
        neighbors = neighbors_of(made, 3, space)
        agreements[name] = np.mean(given.labels[neighbors] == given.labels[:, np.newaxis])
        written = (path.parent / settings["auxiliary"]).read_bytes()
        assert sets.space(name, path) == settings
        assert (path.parent / settings["auxiliary"]).read_bytes() == written
    counts = np.bincount(given.labels)
    enough = np.mean(counts[given.labels] > 3)  # whose classes have three others
    assert agreements[LABEL_SPACE] >= enough > 0.5 > agreements[RANDOM_SPACE]


def test_landmarks_lie_beside_the_users_csv(given, tmp_path):
    sets = sets_of(tmp_path)
    path = sets.training_csv(CLEAN, 0, union=False)
    for name in ("landmarks", "both"):
        assert sets.space(name, path) == {"landmarks": str(tmp_path / "train.landmarks.npz")}
    for name in ("valence_arousal", "mine.npz"):
        assert sets.space(name, path) == {}


def test_a_file_that_is_there_is_not_made_again(given, tmp_path):
    path = sets_of(tmp_path).training_csv(FLIPPED, 0, union=False)
    before = path.stat().st_mtime_ns
    assert sets_of(tmp_path).training_csv(FLIPPED, 0, union=False) == path
    assert path.stat().st_mtime_ns == before


def test_without_noise_all_seeds_share_a_file_that_names_the_clean_labels(given, tmp_path):
    paths = {sets_of(tmp_path).training_csv(CLEAN, seed, union=False) for seed in range(3)}
    assert len(paths) == 1
    made = read_annotations(paths.pop())
    np.testing.assert_array_equal(made.labels, given.labels)
    np.testing.assert_array_equal(made.table["clean_expression"], given.labels)


@pytest.mark.parametrize("noise", [CLEAN, FLIPPED])
def test_clean_labels_that_the_csv_has_are_kept(given, tmp_path, noise):
    clean = (given.labels + 1) % 7
    table = given.table.assign(clean_expression=clean)
    Annotations(table, CLASS_NAMES).write(tmp_path / "train.csv")
    made = read_annotations(sets_of(tmp_path).training_csv(noise, 0, union=False))
    np.testing.assert_array_equal(made.table["clean_expression"], clean)


def test_the_subset_is_one_for_all_noises_and_seeds(given, tmp_path):
    sets = sets_of(tmp_path, subset=20)
    tables = [
        read_annotations(sets.training_csv(noise, seed, union=False)).table
        for noise in (CLEAN, Noise("symmetric", 0.1), FLIPPED, Noise("one_vote"))
        for seed in (0, 1)
    ]
    chosen = tables[0][PATH].tolist()
    assert len(chosen) == len(set(chosen)) == 20 and set(chosen) < set(given.paths)
    assert chosen != given.paths[:20]
    for table in tables:
        assert table[PATH].tolist() == chosen
        clean = given.table.set_index(PATH).loc[chosen, LABEL]
        np.testing.assert_array_equal(table["clean_expression"], clean)
        assert "knn" not in table  # row numbers of the whole set
    flips = [(table[LABEL] != table["clean_expression"]).sum() for table in tables]
    # round(rate * 20)
    assert flips[:6] == [0, 0, 2, 2, 6, 6]
    whole = sets_of(tmp_path).training_csv(CLEAN, 0, union=False)
    assert len(read_annotations(whole)) == ROWS


def test_a_subset_larger_than_the_set_is_refused(given, tmp_path):
    with pytest.raises(InputError, match="--subset=51.*train.csv has 50 rows"):
        sets_of(tmp_path, subset=51).training_csv(CLEAN, 0, union=False)


def test_the_union_has_each_picture_twice_with_both_labels(given, tmp_path):
    made = read_annotations(sets_of(tmp_path).training_csv(CLEAN, 5, union=True))
    assert made.paths == given.paths * 2
    voted = add_noise(given, "one_vote", None, 5)
    np.testing.assert_array_equal(made.labels, np.concatenate([given.labels, voted.labels]))
    assert (given.labels != voted.labels).any()
    # Every label of the second half is one that somebody voted for.
    rows = np.arange(ROWS)
    assert (made.votes[ROWS:][rows, made.labels[ROWS:]] > 0).all()
    # Neither annotator's label is a mistake of ours.
    np.testing.assert_array_equal(made.table["clean_expression"], made.labels)
    assert "knn" not in made.table
    np.testing.assert_array_equal(made.valence_arousal[:ROWS], made.valence_arousal[ROWS:])


def test_the_union_depends_on_the_seed_and_has_a_file_of_its_own(given, tmp_path):
    sets = sets_of(tmp_path)
    first, second = (sets.training_csv(CLEAN, seed, union=True) for seed in (0, 1))
    assert first.read_bytes() != second.read_bytes()
    assert sets.training_csv(CLEAN, 0, union=False) not in (first, second)


def test_the_union_takes_a_second_annotators_csv(given, tmp_path):
    other = given.table.assign(expression=(given.labels + 2) % 7)
    Annotations(other, CLASS_NAMES).write(tmp_path / "other.csv")
    sets = sets_of(tmp_path, other_train_data_path=str(tmp_path / "other.csv"))
    made = read_annotations(sets.training_csv(CLEAN, 0, union=True))
    assert made.paths == given.paths * 2
    expected = np.concatenate([given.labels, (given.labels + 2) % 7])
    np.testing.assert_array_equal(made.labels, expected)


def test_the_union_of_a_subset_has_the_same_pictures_of_both_annotators(given, tmp_path):
    sets = sets_of(tmp_path, subset=20)
    made = read_annotations(sets.training_csv(CLEAN, 0, union=True))
    assert len(made) == 40 and made.paths[:20] == made.paths[20:]


def test_one_vote_needs_votes(tmp_path):
    made_up_annotations(ROWS).write(tmp_path / "train.csv")
    with pytest.raises(InputError, match="votes"):
        sets_of(tmp_path).training_csv(CLEAN, 0, union=True)


def test_test_sets(given, tmp_path):
    sets = sets_of(tmp_path)
    whole = tmp_path / "test.csv"
    assert sets.test_sets(union=False, seed=0) == {"my set": whole}
    both = sets.test_sets(union=True, seed=4)
    assert list(both) == ["my set", "my set (one vote)"] and both["my set"] == whole
    made = read_annotations(both["my set (one vote)"])
    test = read_annotations(whole)
    same_table(made, add_noise(test, "one_vote", None, 4))
    assert (made.labels != test.labels).any()
    again = sets.test_sets(union=True, seed=5)["my set (one vote)"]
    assert again.read_bytes() != both["my set (one vote)"].read_bytes()
    other = sets_of(tmp_path, other_test_data_path="theirs.csv").test_sets(union=True, seed=0)
    assert {name: str(path) for name, path in other.items()} == {
        "my set": str(whole),
        "my set (other)": "theirs.csv",
    }
