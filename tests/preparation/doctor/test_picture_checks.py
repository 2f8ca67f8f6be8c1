"""Tiny, blank and faceless pictures, and pictures that come twice."""

import cv2
import numpy as np
from helpers.made_up_split import blurred, made_up_split, picture_file

from ldl_fer.config.settings import CLASS_NAMES
from ldl_fer.preparation.doctor.finding import DOUBTFUL, FINE, MISTAKE, NOT_LOOKED_AT, Finding
from ldl_fer.preparation.doctor.picture_checks import check_duplicates, check_pictures
from ldl_fer.preparation.doctor.pictures import look_at
from ldl_fer.preparation.drawn_faces.drawing import FaceGeometry, draw_face
from ldl_fer.preparation.drawn_faces.latents import LATENT_PROTOTYPES, face_geometry


def by_check(findings):
    return {finding.check: finding for finding in findings}


def split_of(folder, pictures, labels=None, name="train"):
    paths = [
        picture_file(folder, f"{name}/{number}.png", picture)
        for number, picture in enumerate(pictures)
    ]
    return made_up_split(labels or [0] * len(paths), name=name, paths=paths, folder=folder)


def duplicates_of(*splits):
    return check_duplicates(look_at(splits, progress=False), progress=False)


def test_pictures_alone(tmp_path):
    class NoFaceAbove200:
        def detect(self, image):
            return [] if image.mean() > 200 else [0]

    blank = np.full([48, 48, 3], 90, np.uint8)
    bright = (blurred(2) // 4 + 190).astype(np.uint8)
    split = split_of(tmp_path, [blurred(0), blurred(1, 31), blank, bright])
    (tmp_path / "train" / "0.png").unlink()
    found = by_check(check_pictures(look_at([split], NoFaceAbove200(), progress=False)))
    rows = {check: [row.row for row in finding.rows] for check, finding in found.items()}
    assert rows == {
        "unreadable pictures": [0],
        "tiny pictures": [1],
        "blank pictures": [2],
        "faces": [3],
    }
    assert found["unreadable pictures"].level == MISTAKE
    assert found["faces"].level == found["tiny pictures"].level == DOUBTFUL
    assert found["tiny pictures"].rows[0].note == "31 x 31 pixels"


def test_without_a_detector_the_check_is_said_to_be_left_out(tmp_path):
    split = split_of(tmp_path, [blurred(0)])
    found = by_check(check_pictures(look_at([split], progress=False)))
    assert found.pop("faces") == Finding(
        "faces", NOT_LOOKED_AT, "that needs --detector=FILE.onnx of YuNet."
    )
    assert {finding.level for finding in found.values()} == {FINE}


def test_pictures_that_cannot_be_read_are_not_called_fine(tmp_path):
    split = split_of(tmp_path, [blurred(0)])
    (tmp_path / "train" / "0.png").write_bytes(b"nonsense")
    unreadable, *others = check_pictures(look_at([split], progress=False))
    assert unreadable.level == MISTAKE
    others += duplicates_of(split)
    assert [finding.level for finding in others] == [NOT_LOOKED_AT] * 6


def test_a_picture_in_train_and_test_is_a_mistake(tmp_path):
    train = split_of(tmp_path, [blurred(0), blurred(1)], [2, 3])
    test = split_of(tmp_path, [blurred(5), blurred(1)], [2, 3], name="test")
    finding, near, _ = duplicates_of(train, test)
    assert finding.check == "identical pictures" and finding.level == MISTAKE
    (row,) = finding.rows
    assert (row.split, row.row) == ("train", 1)
    assert "test row 1 (test/1.png, Surprise)" in row.note
    assert near.level == FINE  # and not reported a second time as a near duplicate


def test_a_picture_three_times_in_train_and_once_in_test(tmp_path):
    train = split_of(tmp_path, [blurred(0)] * 3)
    test = split_of(tmp_path, [blurred(0)], name="test")
    across, within, *_ = duplicates_of(train, test)
    assert [row.row for row in across.rows] == [0, 1, 2]  # all three must go
    assert [row.row for row in within.rows] == [0, 0]  # with 1 and with 2


def test_contradicting_labels_of_one_picture(tmp_path):
    split = split_of(tmp_path, [blurred(0), blurred(0), blurred(1), blurred(1)], [1, 2, 5, 5])
    other, same, *_ = duplicates_of(split)
    assert "contradicting" in other.text and other.level == DOUBTFUL
    assert [row.row for row in other.rows] == [0] and [row.row for row in same.rows] == [2]


def test_versions_of_a_picture_are_near_duplicates(tmp_path):
    picture = blurred(0, 96)
    mirrored = np.ascontiguousarray(cv2.resize(picture, (48, 48))[:, ::-1])
    train = split_of(tmp_path, [picture, blurred(1)])
    test = split_of(tmp_path, [mirrored, cv2.convertScaleAbs(picture, alpha=0.7)], name="test")
    identical, across, within, _ = duplicates_of(train, test)
    assert identical.level == FINE and across.level == DOUBTFUL
    assert sorted("mirrored" in row.note for row in across.rows) == [False, True]
    assert {(row.split, row.row) for row in across.rows} == {("train", 0)}
    assert len(within.rows) == 1  # the two of the test set


def expressions_of(person, *numbers, size=96):
    """Pictures of one person in one session, with the expressions of some classes."""
    return [
        draw_face(face_geometry(LATENT_PROTOTYPES[n]), np.random.default_rng(person), size)
        for n in numbers
    ]


def test_two_expressions_of_a_person_are_no_contradiction(tmp_path):
    happy, sad = (CLASS_NAMES.index(name) for name in ("Happy", "Sad"))
    people = [picture for p in (4, 8, 9) for picture in expressions_of(p, happy, sad)]
    train = split_of(tmp_path, people, [happy, sad] * 3)
    identical, near, alike = duplicates_of(train)
    assert identical.text == near.text == "none."
    assert alike.level == FINE and not alike.cure and "can both be right" in alike.text
    assert sorted(row.row for row in alike.rows) == [0, 2, 4]
    test = split_of(tmp_path, people[1:2], [sad], name="test")
    train = split_of(tmp_path, people[:1], [happy])
    _, near, alike = duplicates_of(train, test)
    assert near.text == "none."
    assert alike.level == DOUBTFUL and "1 pair in two splits (train and test)" in alike.text
    assert "person" in alike.cure and [row.split for row in alike.rows] == ["train"]


def test_versions_of_a_photograph_with_other_labels_are_a_contradiction(tmp_path):
    face = expressions_of(4, 1)[0]
    lighter = cv2.convertScaleAbs(cv2.resize(face, (64, 64)), alpha=1.1, beta=10)
    _, near, alike = duplicates_of(split_of(tmp_path, [face, lighter], [1, 2]))
    assert "contradicting" in near.text and "Decide for one label" in near.cure
    assert alike.text == "none."


def test_drawn_faces_of_different_people_are_no_duplicates(tmp_path):
    random = np.random.default_rng(0)
    faces = [draw_face(FaceGeometry(*[0.0] * 11), random, 48) for _ in range(60)]
    found = duplicates_of(split_of(tmp_path, faces))
    assert {finding.text for finding in found} == {"none."}


def test_a_fine_check_says_what_no_picture_has(tmp_path):
    class Face:
        def detect(self, image):
            return [0]

    split = split_of(tmp_path, [blurred(0), blurred(1)])
    found = by_check(check_pictures(look_at([split], Face(), progress=False)))
    assert {finding.level for finding in found.values()} == {FINE}
    assert found["faces"].text.startswith("0 of 2 pictures show no face")
    assert "0.3" in found["faces"].text and "--min_score=0.6" in found["faces"].text
    assert found["unreadable pictures"].text == "0 of 2 pictures cannot be read."
