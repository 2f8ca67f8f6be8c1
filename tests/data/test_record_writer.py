"""One complete folder, or nothing."""

import re
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers.full_disk import files_of_at_most
from helpers.made_up_set import CLASS_NAMES, make_set, some_neighbors

from ldl_fer.data import record_writer
from ldl_fer.data.annotations import Annotations
from ldl_fer.data.manifest import read_manifest
from ldl_fer.data.record_writer import write_records
from ldl_fer.errors import InputError

COUNT = 40


@pytest.fixture
def annotations(tmp_path):
    return make_set(tmp_path, COUNT)


def write(annotations, folder, output="records", **settings):
    settings = {
        "image_size": 12,
        "neighbors": some_neighbors(COUNT, 3),
        "progress": False,
    } | settings
    return write_records(annotations, folder / "images", folder / output, **settings)


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "images")


def test_manifest_says_what_was_written(tmp_path, annotations):
    manifest = write(annotations, tmp_path, "made/up/records", shard_bytes=5_000, workers=3)
    assert manifest == read_manifest(tmp_path / "made/up/records")
    assert manifest.count == COUNT
    assert manifest.num_neighbors == 3
    assert manifest.image_size == 12
    assert manifest.class_names == CLASS_NAMES
    assert manifest.class_counts == tuple((annotations.labels == c).sum() for c in range(3))
    assert manifest.has_votes
    assert manifest.images_copied == COUNT
    assert manifest.annotations_sha256 == annotations.fingerprint()
    assert manifest.settings["shard_bytes"] == 5_000
    assert len(manifest.shards) > 3
    assert left_behind(tmp_path / "made/up") == ["records"]


def test_same_input_same_bytes_whatever_the_workers(tmp_path, annotations):
    manifest = write(annotations, tmp_path, "one", workers=1)
    write(annotations, tmp_path, "four", workers=4)
    name = manifest.shards[0].name
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "four" / name).read_bytes()


def test_pictures_of_another_size_are_counted(tmp_path, annotations):
    small = np.zeros((5, 9, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "images" / annotations.paths[3]), small)
    assert write(annotations, tmp_path).images_copied == COUNT - 1


@pytest.mark.parametrize("room", [0, 300, 5000])
def test_a_full_disk_leaves_nothing(tmp_path, annotations, room):
    text = f"cannot write {tmp_path}/records: File too large. Nothing of it was kept"
    with files_of_at_most(room), pytest.raises(InputError, match=text):
        write(annotations, tmp_path)
    assert left_behind(tmp_path) == []


def test_all_unreadable_pictures_are_reported(tmp_path, annotations):
    (tmp_path / "images" / annotations.paths[2]).unlink()
    (tmp_path / "images" / annotations.paths[5]).write_bytes(b"")
    (tmp_path / "images" / annotations.paths[39]).write_bytes(b"no picture")
    with pytest.raises(InputError) as error:
        write(annotations, tmp_path)
    text = str(error.value)
    assert f"3 of {COUNT} pictures" in text
    assert re.findall(r"row (\d+): (\S+):", text) == [
        (str(row), annotations.paths[row]) for row in (2, 5, 39)
    ]
    assert "No such file" in text
    assert "empty" in text
    assert left_behind(tmp_path) == []


def test_the_first_twenty_are_shown(tmp_path, annotations):
    for path in annotations.paths[:35]:
        (tmp_path / "images" / path).unlink()
    with pytest.raises(InputError, match=r"35 of 40 pictures") as error:
        write(annotations, tmp_path)
    assert re.findall(r"row (\d+):", str(error.value)) == [str(row) for row in range(20)]
    assert "and 15 more" in str(error.value)


def test_an_absent_image_folder_is_one_problem(tmp_path, annotations):
    (tmp_path / "images").rename(tmp_path / "pictures")
    with pytest.raises(InputError, match="images: no such folder"):
        write(annotations, tmp_path)


@pytest.mark.parametrize(
    "neighbors",
    [
        np.zeros([COUNT - 1, 3], int),
        np.zeros([COUNT], int),
        np.full([COUNT, 3], COUNT),
        np.full([COUNT, 3], -1),
        np.arange(COUNT)[:, None],
        np.tile((np.arange(COUNT)[:, None] + 1) % COUNT, 2),
    ],
    ids=["fewer rows", "no K", "too large", "negative", "itself", "twice"],
)
def test_wrong_neighbors(tmp_path, annotations, neighbors):
    with pytest.raises(ValueError, match="neighbors"):
        write(annotations, tmp_path, neighbors=neighbors)


def test_no_rows(tmp_path, annotations):
    empty = Annotations(annotations.table.iloc[:0], CLASS_NAMES)
    with pytest.raises(InputError, match="no rows"):
        write(empty, tmp_path, neighbors=np.zeros([0, 3], int))


def test_records_are_replaced_only_when_asked(tmp_path, annotations):
    write(annotations, tmp_path)
    with pytest.raises(InputError, match="holds records already.*--overwrite"):
        write(annotations, tmp_path, neighbors=some_neighbors(COUNT, 1))
    assert read_manifest(tmp_path / "records").num_neighbors == 3
    write(annotations, tmp_path, neighbors=some_neighbors(COUNT, 1), overwrite=True)
    assert read_manifest(tmp_path / "records").num_neighbors == 1
    assert left_behind(tmp_path) == ["records"]


def test_other_folders_are_never_replaced(tmp_path, annotations):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not a folder of records"):
            write(annotations, tmp_path, overwrite=overwrite)
    assert (tmp_path / "records" / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_is_filled(tmp_path, annotations):
    (tmp_path / "records").mkdir()
    write(annotations, tmp_path)
    assert read_manifest(tmp_path / "records").count == COUNT


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("step", ["encode_example", "stored_image", "read_manifest"])
def test_an_interruption_leaves_nothing(tmp_path, annotations, monkeypatch, error, step):
    write(annotations, tmp_path, "former")
    calls, whole = [], getattr(record_writer, step)

    def interrupted(*arguments, **named):
        calls.append(arguments)
        if len(calls) == (1 if step == "read_manifest" else COUNT // 2):
            raise error("in the middle")
        return whole(*arguments, **named)

    monkeypatch.setattr(record_writer, step, interrupted)
    for output, overwrite in (("records", False), ("former", True)):
        calls.clear()
        with pytest.raises(error):
            write(annotations, tmp_path, output, overwrite=overwrite, shard_bytes=2_000)
        assert left_behind(tmp_path) == ["former"]
    assert read_manifest(tmp_path / "former").count == COUNT


def test_a_failing_last_step_brings_the_former_records_back(tmp_path, annotations, monkeypatch):
    write(annotations, tmp_path)
    rename = record_writer.Path.rename

    def failing(path, target):
        if ".partial-" in path.name and not path.name.endswith("-former"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(record_writer.Path, "rename", failing)
    with pytest.raises(InputError, match="No space left on device"):
        write(annotations, tmp_path, neighbors=some_neighbors(COUNT, 1), overwrite=True)
    assert left_behind(tmp_path) == ["records"]
    assert read_manifest(tmp_path / "records").num_neighbors == 3


@pytest.mark.slow
def test_a_killed_process_leaves_no_folder_that_looks_whole(tmp_path, annotations):
    # Reading picture 30 never ends: the process waits there, and is killed there.
    annotations.write(tmp_path / "all.csv")
    program = f"""
import threading
from pathlib import Path
import numpy as np
from ldl_fer.data import record_writer
from ldl_fer.data.annotations import read_annotations
folder = Path({str(tmp_path)!r})
read = record_writer.picture_bytes
def held(path):
    if path == folder / "images" / {str(annotations.paths[30])!r}:
        threading.Event().wait()
    return read(path)
record_writer.picture_bytes = held
annotations = read_annotations(folder / "all.csv", None, {CLASS_NAMES!r})
neighbors = np.zeros([{COUNT}, 0], int)
record_writer.write_records(annotations, folder / "images", folder / "records", image_size=12,
                            neighbors=neighbors, shard_bytes=2000, workers=1)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.partial-*/00003.tfrecord")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    [partial] = tmp_path.glob("*.partial-*")
    assert partial.name.endswith(f".partial-{process.pid}")
    assert not (tmp_path / "records").exists()
    with pytest.raises(InputError, match="not a folder of records"):
        read_manifest(partial)
    # A later run is not disturbed by what lies there.
    assert write(annotations, tmp_path).count == COUNT


def test_pictures_in_memory_are_bounded(tmp_path, monkeypatch):
    # Counted where they are read and where they are written: the difference waits in memory.
    count = 400
    (tmp_path / "images").mkdir()
    content = cv2.imencode(".png", np.zeros((12, 12), np.uint8))[1].tobytes()
    names = [f"{row}.png" for row in range(count)]
    for name in names:
        (tmp_path / "images" / name).write_bytes(content)
    columns = {"subDirectory_filePath": names, "expression": 0, "valence": 0.0, "arousal": 0.0}
    lock, waiting, most = threading.Lock(), 0, 0
    load, encode = record_writer.stored_image, record_writer.encode_example

    def counted_load(*arguments):
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        return load(*arguments)

    def counted_encode(example):
        nonlocal waiting
        with lock:
            waiting -= 1
        time.sleep(0.0005)  # slower than reading
        return encode(example)

    monkeypatch.setattr(record_writer, "stored_image", counted_load)
    monkeypatch.setattr(record_writer, "encode_example", counted_encode)
    annotations = Annotations(pd.DataFrame(columns), CLASS_NAMES)
    write(annotations, tmp_path, neighbors=some_neighbors(count, 2), workers=2)
    assert waiting == 0
    assert 2 < most <= 2 * 16 + 1  # workers x pictures per worker, and the one being written
