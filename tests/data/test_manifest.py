"""A folder of records is complete, or refused with the file's name."""

import dataclasses
import json

import pytest
from helpers.made_up_set import make_set, some_neighbors

from ldl_fer.data.manifest import read_manifest
from ldl_fer.data.record_writer import write_records
from ldl_fer.errors import InputError


@pytest.fixture
def folder(tmp_path):
    write_records(
        make_set(tmp_path, 20),
        tmp_path / "images",
        tmp_path / "records",
        image_size=None,
        neighbors=some_neighbors(20, 3),
        shard_bytes=3_000,
        progress=False,
    )
    return tmp_path / "records"


def test_round_trip(folder):
    manifest = read_manifest(folder)
    (folder / "manifest.json").write_text(manifest.to_json())
    assert read_manifest(folder) == manifest
    assert sum(shard.count for shard in manifest.shards) == manifest.count == 20
    assert len(manifest.shards) > 1
    for shard in manifest.shards:
        assert (folder / shard.name).stat().st_size == shard.bytes <= 3_000


def every_file(folder):
    shards = read_manifest(folder).shards
    data = [name for shard in shards for name in (shard.name, shard.index_name)]
    return ["manifest.json", "annotations.csv", *data]


def test_a_missing_file_is_named(folder):
    for name in every_file(folder):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(InputError, match=f"{name}.*--overwrite"):
            read_manifest(folder)
        (folder / name).write_bytes(kept)
    read_manifest(folder)


@pytest.mark.parametrize("change", [-1, -16, 1], ids=["cut", "cut_by_an_entry", "longer"])
def test_a_file_of_another_size_is_named(folder, change):
    for name in every_file(folder)[2:]:
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(kept[:change] if change < 0 else kept + b"\0")
        with pytest.raises(InputError, match=f"{name}: {len(kept) + change} bytes"):
            read_manifest(folder)
        (folder / name).write_bytes(kept)
    read_manifest(folder)


def test_a_flipped_bit_is_noticed_wherever_it_is(folder):
    for name in [*every_file(folder), "SHA256SUMS"]:
        content = (folder / name).read_bytes()
        for place in range(0, len(content), max(1, len(content) // 25)):
            changed = bytearray(content)
            changed[place] ^= 1 << place % 8
            (folder / name).write_bytes(changed)
            with pytest.raises(InputError, match=f"{folder}.*(--overwrite|Copy the folder)"):
                read_manifest(folder)
        (folder / name).write_bytes(content)
    read_manifest(folder)


def test_files_of_another_set_are_noticed(folder, tmp_path):
    index = folder / read_manifest(folder).shards[1].index_name
    index.write_bytes(
        (folder / read_manifest(folder).shards[2].index_name).read_bytes()[: index.stat().st_size]
    )
    with pytest.raises(InputError, match=f"{index.name} (is not what was written|: )"):
        read_manifest(folder)


def test_every_file_must_be_in_the_list_of_checksums(folder):
    listed = folder / "SHA256SUMS"
    lines = listed.read_text().splitlines(keepends=True)
    for left_out, line in enumerate(lines):
        listed.write_text("".join(lines[:left_out] + lines[left_out + 1 :]))
        with pytest.raises(InputError, match=f"SHA256SUMS is damaged: it lacks {line.split()[1]}"):
            read_manifest(folder)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"schema_version": 99}, "json: schema version 99; this program reads 2. Delete[^:]*$"),
        ({"count": 21}, "json: its shards do not add up"),
        ({"color": "gray"}, "json: damaged"),
    ],
)
def test_other_manifests_are_refused(folder, change, text):
    fields = dataclasses.asdict(read_manifest(folder)) | change
    (folder / "manifest.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match=text):
        read_manifest(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe"])
def test_damaged_manifests_are_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match="manifest.json: damaged"):
        read_manifest(folder)


def test_a_folder_of_something_else_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="not a folder of records"):
            read_manifest(folder)
