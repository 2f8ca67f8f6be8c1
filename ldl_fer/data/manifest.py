"""The manifest of a folder of records, and whether every file that it names is there.

records-00000-of-00003.tfrecord    TFRecord frames, in row order
records-00000-of-00003.index       per record: payload's offset and length, little-endian int64
manifest.json                      `Manifest`
annotations.csv                    the table; row number = sample_id, neighbors in column knn
pixels.npy                         all pictures decoded, uint8 [N, S, S, 3], of a set not too large
auxiliary.npy                      places [N, D] in a space other than the valence-arousal plane
SHA256SUMS                         of all of them, see `ldl_fer.files`
"""

import dataclasses
import functools
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ldl_fer.config.progress import tqdm
from ldl_fer.errors import InputError
from ldl_fer.files import CHECKSUMS, damage

SCHEMA_VERSION = 2  # 2: SHA256SUMS of all files
MANIFEST = "manifest.json"
ANNOTATIONS = "annotations.csv"
AUXILIARY = "auxiliary.npy"
PIXELS = "pixels.npy"
INDEX_ENTRY = struct.Struct("<qq")  # a payload's offset and length
_CURE = "Delete the folder and run again, or use ldl-fer records --overwrite."
_OTHER = (
    "A data set is an annotation CSV, its pictures' folder being given beside it (--..._image_dir; "
    "are the two swapped?), or a folder that ldl-fer records made."
)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records; its index lies beside it."""

    name: str  # of the .tfrecord
    first_sample_id: int
    count: int
    bytes: int  # of the .tfrecord

    @property
    def index_name(self) -> str:
        return str(Path(self.name).with_suffix(".index"))

    @property
    def index_bytes(self) -> int:
        return self.count * INDEX_ENTRY.size


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Counts, settings and shards of a folder of records; stored beside them as JSON."""

    schema_version: int
    count: int  # N
    num_neighbors: int  # K
    image_size: int | None  # pixels; None: every picture has its own size
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    has_votes: bool
    images_copied: int  # pictures stored byte by byte; the others were re-encoded
    annotations_sha256: str  # `Annotations.fingerprint` of the source
    shards: tuple[Shard, ...]
    settings: dict[str, Any]
    created_by: str

    @property
    def space(self) -> dict[str, Any]:
        """Of `auxiliary.space_identity`; {}: the valence-arousal plane, from the records."""
        return self.settings.get("auxiliary", {})

    def to_json(self) -> str:
        """Returns indented JSON; `read_manifest` reads it back."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def _cure(folder: str | Path) -> str:
    """Returns what to do about damaged records; deleting is said of nothing but records."""
    folder = Path(folder)
    made_here = folder.is_dir() and any(folder.iterdir()) and not strange_file(folder)
    return _CURE if made_here else _OTHER


def strange_file(folder: str | Path) -> str | None:
    """Returns the name of a file in a folder that records have not; None where all are theirs."""
    known = {MANIFEST, ANNOTATIONS, AUXILIARY, PIXELS, CHECKSUMS}
    for file in sorted(Path(folder).iterdir()):
        if file.is_dir() or (file.name not in known and file.suffix not in (".tfrecord", ".index")):
            return file.name
    return None


def check_free(folder: Path, overwrite: bool) -> None:
    """Raises InputError for a folder in whose place records cannot be written."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    strange = strange_file(folder) if folder.is_dir() else folder.name
    if strange:
        raise InputError(
            f"{folder}: exists and is not a folder of records: they have no {strange}. Name "
            "another one."
        )
    if not overwrite:
        raise InputError(f"{folder}: holds records already. Name another folder or --overwrite.")


def manifest_file(folder: str | Path) -> Path:
    """Returns the path of a folder's manifest.

    Raises:
      InputError: there is none: it is not a folder of records.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(
            f"{folder}: not a folder of records: it has no {MANIFEST}. {_cure(folder)}"
        )
    return path


def read_manifest(folder: str | Path, hashed: bool = False) -> Manifest:
    """Reads the manifest, and all files to see that they are those that were written.

    That takes about a second a gigabyte.

    Args:
      folder: of the records.
      hashed: whether this process has just hashed the files, so that their sizes suffice.

    Raises:
      InputError: for a folder that is not one of records, is of another schema version, or has a
        file that is missing or changed. The text names the file.
    """
    path = manifest_file(folder)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields["schema_version"]
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path}: schema version {version}; this program reads {SCHEMA_VERSION}. "
                f"{_cure(folder)}"
            )
        for name in ("class_names", "class_counts"):
            fields[name] = tuple(fields[name])
        fields["shards"] = tuple(Shard(**shard) for shard in fields["shards"])
        manifest = Manifest(**fields)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}). {_cure(folder)}") from error
    _check_files(manifest, Path(folder), hashed)
    return manifest


def _check_files(manifest: Manifest, folder: Path, hashed: bool) -> None:
    firsts = np.cumsum([0, *(shard.count for shard in manifest.shards)]).tolist()
    if firsts != [*(shard.first_sample_id for shard in manifest.shards), manifest.count]:
        raise InputError(
            f"{folder / MANIFEST}: its shards do not add up to its count. {_cure(folder)}"
        )
    needed = {MANIFEST, ANNOTATIONS} | ({AUXILIARY} if manifest.space else set())
    for shard in manifest.shards:
        needed |= {shard.name, shard.index_name}
        index = folder / shard.index_name
        sizes = {folder / shard.name: shard.bytes, index: shard.index_bytes}
        for path, size in sizes.items():
            if path.is_file() and path.stat().st_size != size:
                raise InputError(
                    f"{path}: {path.stat().st_size} bytes, but {size} were written. {_cure(folder)}"
                )
    if hashed:
        return
    bar = functools.partial(tqdm, desc="checking files", unit="file", delay=2)
    found = damage(folder, needed, bar)
    if found:
        raise InputError(f"{found}. {_cure(folder)}")
