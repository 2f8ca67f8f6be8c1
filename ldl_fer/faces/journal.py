"""What an interrupted alignment goes on from: a file with a line of JSON for each picture done.

The first line holds the settings; the others are the records of `ldl_fer.faces.picture`.
"""

import json
import os
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ldl_fer.annotation_checks import PATH
from ldl_fer.errors import InputError
from ldl_fer.faces.picture import ALIGNED, PictureAligner
from ldl_fer.files import write_whole


def read_journal(journal: Path, settings: Mapping[str, Any]) -> dict[str, dict]:
    """Records by path, the last of each; none if there is no file.

    A line that a crash cut short is left out.

    Raises:
      InputError: the journal is one of other settings.
    """
    if not journal.exists():
        return {}
    lines = []
    for text in journal.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    former = lines.pop(0).get("settings") if lines else settings
    if former != settings:
        changed = ", ".join(name for name in settings if former.get(name) != settings[name])
        raise InputError(
            f"{journal.parent} holds faces that were made with another {changed} ({former}). "
            "Name another --output_dir, or remove this one."
        )
    return {line[PATH]: line for line in lines}


def journaled(
    aligner: PictureAligner,
    paths: Sequence[str],
    journal: Path,
    settings: Mapping[str, Any],
    workers: int | None = None,
    progress: bool = True,
) -> Generator[dict, None, None]:
    """Aligns pictures, in several threads, but for those that the journal says are done.

    Done is a picture with a face that was written and is still there, and whose file is as it was.

    Args:
      aligner: does one picture.
      paths: of the pictures.
      journal: the file; made or added to.
      settings: what the results depend on, JSON values.
      workers: threads; None: one per processor.
      progress: show a bar.

    Yields:
      The records of all pictures, in the order of `paths`.

    Raises:
      InputError: as `read_journal`, or something cannot be written.
    """
    former = read_journal(journal, settings)

    def is_done(path: str) -> bool:
        record = former.get(path)
        return (
            record is not None
            and record["status"] == ALIGNED
            and record["stamp"] == aligner.stamp(path)
            and all((aligner.images / target).is_file() for target in record["aligned"])
        )

    done = {path for path in paths if is_done(path)}
    for path in former.keys() & (set(paths) - done):
        for target in former[path]["aligned"]:  # What a new result may no longer have.
            (aligner.images / target).unlink(missing_ok=True)
    lines = [{"settings": settings}, *former.values()]
    write_whole(journal, "".join(_line(line) for line in lines))
    bar = tqdm(
        desc="aligning faces",
        total=len(paths),
        initial=len(done),
        unit=" pictures",
        disable=not progress,
    )
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        with bar, journal.open("a", encoding="utf-8") as file:
            records = pool.map(aligner, [path for path in paths if path not in done])
            for path in paths:
                if path in done:
                    yield former[path]
                    continue
                record = next(records)
                file.write(_line(record))
                file.flush()
                bar.update()
                yield record
    finally:
        pool.shutdown(cancel_futures=True)


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False) + "\n"
