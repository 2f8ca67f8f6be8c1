"""The training set of a run: every row and picture of the file, and a refusal of another one."""

import os

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.audited_run import make_run

from ldl_fer.data.annotations import read_annotations
from ldl_fer.data.record_writer import write_records
from ldl_fer.data.records import Records
from ldl_fer.errors import InputError
from ldl_fer.evaluation.audit.training_set import training_set


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("audit"))


def test_held_out_rows_are_in_the_file_and_not_among_the_samples(run):
    training = training_set(run.folder)
    assert len(training.annotations) == 30 and len(training.samples) == 24
    assert training.rows.tolist() == list(range(24))
    content = np.frombuffer(training.picture(29), np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_COLOR).shape == (24, 24, 3)


def test_a_pipe_among_the_pictures_does_not_make_it_wait(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "images/face3.png").unlink()
    os.mkfifo(tmp_path / "images/face3.png")
    with pytest.raises(OSError, match="it is a pipe or device"):
        training_set(run.folder).picture(3)


def test_shards_serve_as_well(tmp_path):
    run = make_run(tmp_path, held_out=0)
    annotations = read_annotations(tmp_path / "train.csv")
    neighbors = np.zeros([30, 0], np.int32)
    write_records(
        annotations,
        tmp_path / "images",
        tmp_path / "shards",
        image_size=24,
        neighbors=neighbors,
        progress=False,
    )
    training = training_set(run.folder, annotations=tmp_path / "shards")
    assert training.annotations.paths == annotations.paths
    from_file = (tmp_path / "images" / annotations.paths[7]).read_bytes()
    assert training.picture(7) == from_file and len(Records(tmp_path / "shards")) == 30


def test_what_changed_or_is_gone_is_named(tmp_path):
    run = make_run(tmp_path)
    table = pd.read_csv(tmp_path / "train.csv")
    changed = table.copy()
    changed.loc[3, "expression"] = (changed.loc[3, "expression"] + 1) % 7
    for text, wrong in {
        r"row 3 \(face3.png\) is not what it was": changed,
        "10 rows, the run knows of row 23": table.head(10),
    }.items():
        wrong.to_csv(tmp_path / "wrong.csv", index=False)
        with pytest.raises(InputError, match=text):
            training_set(run.folder, tmp_path / "wrong.csv")
    with pytest.raises(InputError, match="--image_dir=FOLDER"):
        training_set(run.folder, image_dir=tmp_path / "gone")
    run.samples_file.unlink()
    with pytest.raises(InputError, match="--resume"):
        training_set(run.folder)
