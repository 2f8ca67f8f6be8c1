"""Pictures that cannot be read: what --on_bad_image=skip leaves out, and the report of it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.annotation_checks import PATH, image_problems
from ldl_fer.annotations import Annotations
from ldl_fer.errors import InputError
from ldl_fer.files import write_whole
from ldl_fer.held_out import SOURCE_ROW

MOST_SKIPPED = 0.5  # share of the pictures; beyond it the folder is wrong, not the pictures
_SHOWN = 3


def without_bad_images(
    annotations: Annotations,
    csv_path: str | Path,
    image_dir: str | Path,
    report_dir: str | Path,
    progress: bool = True,
) -> Annotations:
    """The rows whose pictures can be read, renumbered from 0; neighbors are to be found anew.

    Their former numbers are in the column `source_row`.

    Which rows are left out, and why, is written to REPORT_DIR/skipped-<CSV>-<hash>.csv and found
    there the next time, without looking at the pictures again. A report that is damaged or does
    not fit the rows is made anew.

    Args:
      annotations: all rows.
      csv_path: where they come from; gives the report its name.
      image_dir: where their paths start.
      report_dir: where reports are kept.
      progress: whether to say what was left out, and show a bar.

    Returns:
      `annotations` itself where every picture can be read.

    Raises:
      InputError: most pictures cannot be read.
    """
    identity = json.dumps([annotations.fingerprint(), str(Path(image_dir).resolve())])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    report = Path(report_dir) / f"skipped-{Path(csv_path).stem}-{digest}.csv"
    skipped = _former(report, annotations)
    if skipped is None:
        found = image_problems(annotations.paths, Path(image_dir), progress)
        paths, rows = annotations.paths, []
        for row, problem in found:
            if row is None:  # of all pictures
                raise InputError(f"{csv_path}: {problem}")
            rows.append((row, paths[row], problem))
        skipped = pd.DataFrame(rows, columns=["row", PATH, "problem"])
        if len(rows) > MOST_SKIPPED * len(annotations):
            raise InputError(
                f"{csv_path}: {len(found):,} of {len(annotations):,} pictures cannot be read, too "
                f"many to skip, as: {found[0][1]}. Check the image folder {image_dir}."
            )
        write_whole(report, skipped.to_csv(index=False))
    if skipped.empty:
        return annotations
    if progress:
        shown = ", ".join(skipped[PATH][:_SHOWN]) + (" ..." if len(skipped) > _SHOWN else "")
        print(
            f"{csv_path}: {len(skipped):,} of {len(annotations):,} pictures cannot be read and are "
            f"left out: {shown}\n  Report: {report}; delete it to have them looked at again."
        )
    kept = np.ones(len(annotations), bool)
    kept[skipped["row"].to_numpy(int)] = False
    table = annotations.table
    if SOURCE_ROW not in table:
        table = table.assign(**{SOURCE_ROW: np.arange(len(table))})
    return Annotations(table, annotations.class_names).subset(np.flatnonzero(kept))


def _former(report: Path, annotations: Annotations) -> pd.DataFrame | None:
    """What an earlier run left out; None where there is no report, or one that does not fit."""
    try:
        skipped = pd.read_csv(report, dtype={"row": np.int64}, keep_default_na=False)
        rows = skipped["row"].to_numpy()
        in_range = ((rows >= 0) & (rows < len(annotations))).all()
        fits = in_range and skipped[PATH].tolist() == annotations.table[PATH].iloc[rows].tolist()
    except (OSError, ValueError, KeyError):
        return None
    return skipped if fits else None
