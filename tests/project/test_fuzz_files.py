"""Pictures and folders of records of any bytes are read right, or refused in words."""

import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf
from helpers.fuzz_profile import fuzzed, whatever
from helpers.made_up_set import make_set, some_neighbors
from hypothesis import given
from hypothesis import strategies as st

from ldl_fer.data.pictures import decoded_image, stored_image
from ldl_fer.data.record_writer import write_records
from ldl_fer.data.records import Records
from ldl_fer.errors import InputError
from ldl_fer.files import CHECKSUMS, write_checksums
from ldl_fer.training.state import Checkpoints

SIDE, COUNT = 16, 6
_PIXELS = np.random.default_rng(0).integers(0, 256, [SIDE, SIDE, 3], np.uint8)
PICTURES = {
    kind: cv2.imencode(f".{kind}", _PIXELS)[1].tobytes()
    for kind in ("png", "jpg", "bmp", "webp", "tiff", "ppm")
}


@pytest.mark.parametrize("kind", PICTURES)
@fuzzed
@given(data=st.data())
def test_pictures(kind, data):
    content = data.draw(whatever(PICTURES[kind]))
    try:
        pixels = decoded_image(content)
    except ValueError as error:
        assert str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    for size in (SIDE, None):
        try:
            stored, _ = stored_image(content, size)
        except ValueError as error:
            assert str(error)
            continue
        # What is accepted can be decoded in training.
        decoded = tf.io.decode_image(stored, channels=3, expand_animations=False)
        assert size is None or decoded.shape == (SIDE, SIDE, 3)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    write_records(
        make_set(folder, COUNT),
        folder / "images",
        folder / "records",
        image_size=SIDE,
        neighbors=some_neighbors(COUNT, 2),
        shard_bytes=1_500,
        progress=False,
    )
    return folder / "records"


def copied(records, folder):
    """The folder, made anew as a copy of the records."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(records, folder)
    return folder


def read(folder):
    """All that training reads of a folder of records."""
    records = Records(folder)
    records.annotations()
    names = ["sample_id", "label", "neighbors", "auxiliary", "image"]
    return records.examples(np.arange(len(records)), names)


@fuzzed
@given(data=st.data())
def test_files_of_records(records, tmp_path_factory, data):
    folder = copied(records, tmp_path_factory.getbasetemp() / "fuzzed records")
    expected = read(folder)
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = path.read_bytes()
    path.write_bytes(data.draw(whatever(content)))
    try:
        found = read(folder)
    except InputError as error:
        assert str(folder) in str(error)
        return
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@fuzzed
@given(data=st.data())
def test_manifests_and_tables_with_checksums_of_their_own(records, tmp_path_factory, data):
    """Somebody has edited a text file and made SHA256SUMS fit."""
    folder = copied(records, tmp_path_factory.getbasetemp() / "edited records")
    path = folder / data.draw(st.sampled_from(["manifest.json", "annotations.csv"]))
    path.write_bytes(data.draw(whatever(path.read_bytes())))
    (folder / CHECKSUMS).unlink()
    write_checksums(folder)
    try:
        read(folder)
    except InputError as error:
        assert str(folder) in str(error)


@fuzzed
@given(data=st.data())
def test_checkpoints(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "fuzzed state"
    shutil.rmtree(folder, ignore_errors=True)
    variable = tf.Variable(np.zeros(8, np.float32))
    checkpoints = Checkpoints(folder, tf.train.Checkpoint(variable=variable))
    for step in (1, 2):
        variable.assign(np.full(8, step, np.float32))
        checkpoints.save(step)
    path = data.draw(st.sampled_from(sorted((folder / "step-000000002").iterdir())))
    content = path.read_bytes()
    path.write_bytes(data.draw(whatever(content)))
    variable.assign(np.zeros(8, np.float32))
    restored = checkpoints.restore()
    assert variable.numpy().tolist() == [float(restored.name[-1])] * 8
