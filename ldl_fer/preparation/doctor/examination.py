"""Runs all checks of the doctor, in order."""

from collections.abc import Sequence

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.auxiliary import reads_plane
from ldl_fer.errors import InputError
from ldl_fer.preparation.datasets import READERS
from ldl_fer.preparation.doctor import CORRELATION, TINY
from ldl_fer.preparation.doctor.class_counts import check_cells, check_classes, check_published
from ldl_fer.preparation.doctor.finding import Finding
from ldl_fer.preparation.doctor.label_order import check_label_order
from ldl_fer.preparation.doctor.picture_checks import check_duplicates, check_pictures
from ldl_fer.preparation.doctor.pictures import look_at
from ldl_fer.preparation.doctor.plane import NEIGHBORS, check_plane
from ldl_fer.preparation.doctor.spaces import check_spaces
from ldl_fer.preparation.doctor.split import Split
from ldl_fer.preparation.faces.detector import FaceDetector


def examine(
    splits: Sequence[Split],
    data_set: str | None = None,
    detector: FaceDetector | None = None,
    num_neighbors: int = NEIGHBORS,
    min_side: int = TINY,
    correlation: float = CORRELATION,
    progress: bool = True,
    data: DataConfig | None = None,
) -> list[Finding]:
    """Runs every check; a broken row or picture is a finding and stops nothing.

    Args:
      splits: of `read_split`, in the order train, val, test. Of a picture that is in two of them,
        the earlier one's row is listed.
      data_set: its name in `datasets.READERS`; None: it is guessed from the sizes.
      detector: finds faces; None: that check is left out.
      num_neighbors: K of the neighbors whose labels are compared.
      min_side: a shorter side below it is tiny, pixels.
      correlation: least correlation of near duplicates; see `duplicates`.
      progress: show bars with time left.
      data: which auxiliary spaces are looked at; None: those of the defaults.

    Raises:
      InputError: there is no such data set, or no split.
    """
    if not splits:
        raise InputError("nothing to look at: give --train, --val or --test.")
    if data_set and data_set not in READERS:
        raise InputError(f"there is no data set {data_set!r}; there are {', '.join(READERS)}.")
    findings = check_cells(splits) + check_classes(splits)
    order_findings = check_label_order(splits, data_set)
    orders = {f.values["split"]: f.values["order"] for f in order_findings if "order" in f.values}
    findings += check_published(splits, data_set, orders) + order_findings
    data = data or DataConfig()
    findings += check_plane(splits, num_neighbors, progress, reads_plane(data))
    findings += check_spaces(splits, data, num_neighbors, progress)
    pictures = look_at(splits, detector, progress)
    findings += check_pictures(pictures, min_side)
    return findings + check_duplicates(pictures, correlation, progress)
