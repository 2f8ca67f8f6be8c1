"""Looks at neighbors in other spaces than valence-arousal, where the data set has them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.auxiliary import auxiliary_file, kind_of, reads_plane, space_of
from ldl_fer.data.neighbors import nearest_neighbors
from ldl_fer.errors import InputError
from ldl_fer.preparation.doctor.finding import MISTAKE, Finding
from ldl_fer.preparation.doctor.plane import NEIGHBORS, agreement
from ldl_fer.preparation.doctor.split import Split


def check_spaces(
    splits: Sequence[Split],
    data: DataConfig,
    num_neighbors: int = NEIGHBORS,
    progress: bool = True,
) -> list[Finding]:
    """Compares labels of neighbors by landmarks, by both, and in a space of the user's own.

    Landmarks are looked at where their table is there, or is asked for.

    Args:
      splits: of the data set; the training set's neighbors are looked at.
      data: which spaces, and how they are made.
      num_neighbors: K; 0: nothing is looked at.
      progress: show a bar where finding them takes longer than two seconds.
    """
    findings = []
    for split in splits if num_neighbors else ():
        if split.name != "train":
            continue
        for space in dict.fromkeys(("landmarks", "both", data.auxiliary)):
            made = dataclasses.replace(data, auxiliary=space)
            file = auxiliary_file(made, split.csv_path)
            asked = data.landmarks or space == data.auxiliary
            if file is not None and (file.is_file() or asked):
                findings += _agreement(split, made, num_neighbors, progress)
    return findings


def _agreement(split: Split, data: DataConfig, k: int, progress: bool) -> list[Finding]:
    rows, plane = np.flatnonzero(split.labels >= 0), None
    if reads_plane(data):
        rows = rows[~np.isnan(split.valence_arousal[rows]).any(axis=1)]
        plane = split.valence_arousal[rows]
    if len(rows) <= k:
        return []
    file = auxiliary_file(data, split.csv_path)
    assert file is not None  # of every space but valence-arousal
    try:
        space = space_of(data, file, [split.paths[row] for row in rows], plane)
    except InputError as error:
        cure = "Training with --auxiliary=valence_arousal does without."
        return [Finding("neighbors", MISTAKE, f"{split.name}: {error}", cure)]
    found = nearest_neighbors(space.places, k, progress)
    cure = f"{file} says next to nothing of these labels; look whether it is of these pictures."
    finding = agreement(split, rows, found, cure, kind_of(data))
    unknown = int(np.count_nonzero(~space.known))
    text = finding.text + (f" {unknown:,} faces have no landmarks." if unknown else "")
    values = {**finding.values, "without_landmarks": unknown}
    return [dataclasses.replace(finding, text=text, values=values)]
