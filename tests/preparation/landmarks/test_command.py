"""ldl-fer landmarks, as a user calls it."""

import cv2
import numpy as np
import pytest
from helpers.called import call
from helpers.data_set_copies import text
from helpers.landmark_models import spot

from ldl_fer.data.landmarks import landmarks_of, read_landmarks


@pytest.fixture
def faces(tmp_path):
    """Three pictures and their CSV, which has one twice, from two annotators, and one faceless."""
    for name, picture in (("a", spot(20, 20)), ("ü", spot(24, 16)), ("none", spot(90, 90))):
        (tmp_path / "images").mkdir(exist_ok=True)
        content = cv2.imencode(".png", picture)[1].tobytes()
        (tmp_path / "images" / f"{name}.png").write_bytes(content)
    rows = ["a.png,0,x", "none.png,1,x", "Ü.png,2,x", "a.png,3,y"]
    text(tmp_path / "train.csv", "subDirectory_filePath,expression,annotator", *rows)
    return tmp_path


def landmarks(folder, *words):
    given = (f"--annotations={folder / 'train.csv'}", f"--image_dir={folder / 'images'}")
    done = call("landmarks", *given, *words)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_landmarks_are_found_and_kept_beside_the_csv(faces, made_model):
    done = landmarks(faces, f"--model={made_model}", "--workers=2")
    assert done.returncode == 0, done.stderr
    file = faces / "train.landmarks.npz"
    assert done.stdout == (
        f"{file}: 468 points in 3-D of 2 of 3 pictures, by {made_model}; none of 1, such as "
        "none.png\n"
    )
    paths, points = read_landmarks(file)
    assert paths == ["a.png", "none.png", "ü.png"]  # as the file is spelled, which training reads
    np.testing.assert_allclose(points[[0, 2], :, :2].mean(axis=1), [(20, 20), (24, 16)], atol=0.5)
    np.testing.assert_array_equal(landmarks_of(file, ["a.png"] * 2)[1], points[0])
    with np.load(file) as kept:
        np.testing.assert_array_equal(kept["score"] > 0, [True, False, True])
    assert {path.name for path in faces.iterdir()} == {"images", "train.csv", file.name}
    again = landmarks(faces, f"--model={made_model}")  # its own file may be replaced
    assert again.returncode == 0


def test_landmarks_of_a_data_set(faces):
    for name in ("a", "ü"):
        text(faces / "Annotation" / "manual" / f"{name}_manu_attri.txt", *["1.5 2"] * 5, "0", "1")
    done = landmarks(
        faces, f"--from_files={faces / 'Annotation'}", f"--output={faces / 'deep' / 'five.npz'}"
    )
    assert done.returncode == 0, done.stderr
    assert "five.npz: 5 points in 2-D of 2 of 3 pictures, by RAF-DB's 5 points" in done.stdout
    assert "; none of 1, such as none.png" in done.stdout
    _, points = read_landmarks(faces / "deep" / "five.npz")
    assert points.shape == (3, 5, 2) and points[0].tolist() == [[1.5, 2]] * 5


def test_a_set_without_a_face_is_refused(faces, made_model):
    text(faces / "train.csv", "subDirectory_filePath", "none.png")
    done = landmarks(faces, f"--model={made_model}")
    assert done.returncode == 2 and "no face in any of 1 pictures. Do they" in done.stderr
    assert not (faces / "train.landmarks.npz").exists()


def test_boxes_are_noted(faces, made_model):
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height"
    text(faces / "train.csv", header, "a.png,1,2,30,30")
    done = landmarks(faces, f"--model={made_model}")
    assert done.returncode == 0 and "train.csv has boxes of faces; if its pictures" in done.stderr


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "give --model=face_landmark.tflite, or --from_files=FOLDER."),
        (["--model=a", "--from_files=b"], "give --model=face_landmark.tflite, or --from_files"),
        (["--model={0}/no.tflite"], "no.tflite does not exist."),
        (["--model={0}/train.csv"], "train.csv is no .tflite file; a landmark model takes"),
        (["--from_files={0}/images"], "images has no landmarks that are known. Name a folder"),
        (["--model=a", "--annotations={0}/no.csv"], "no.csv does not exist. Correct --annotations"),
        (["--model=a", "--image_dir={0}/no"], "no is no folder. Correct --image_dir."),
        (["--model=a", "--output={0}/train.csv"], "train.csv does not end with .npz"),
        (["--model=a", "--output={0}/a.npz"], "a.npz is no table of landmarks, and would be lost"),
        (["--model=a", "--output={0}/b.npz"], "b.npz is no table of landmarks, and would be lost"),
    ],
)
def test_mistakes_are_named(faces, words, error):
    (faces / "a.npz").write_text("a user's")
    np.savez(faces / "b.npz", labels=np.zeros(3))
    before = set(faces.iterdir())
    done = landmarks(faces, *(word.format(faces) for word in words))
    assert done.returncode == 2 and error in done.stderr, done.stderr
    assert set(faces.iterdir()) == before


def test_pictures_that_are_not_there_are_named(faces, made_model):
    (faces / "images" / "none.png").unlink()
    done = landmarks(faces, f"--model={made_model}")
    assert done.returncode == 2
    assert "train.csv: 1 problem\n  row 1: " in done.stderr and "none.png cannot be" in done.stderr
    assert {path.name for path in faces.iterdir()} == {"images", "train.csv"}
