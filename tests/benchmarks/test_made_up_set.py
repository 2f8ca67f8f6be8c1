"""The made-up set is like AffectNet."""

import numpy as np

from benchmarks import made_up_set
from ldl_fer.data.records import Records


def test_a_made_up_set_is_like_affectnet(tmp_path):
    rows, pixels = 2000, 20
    csv, images = made_up_set.make_up_set(tmp_path / "set", rows, pixels, progress=False)
    records = made_up_set.made_up_records(tmp_path, 300, pixels, 4, progress=False)
    assert isinstance(records, Records)
    assert (len(records), records.num_neighbors, records.image_size) == (300, 4, pixels)
    assert records.manifest.images_copied == 300  # as they are: nothing is encoded again
    table = np.genfromtxt(csv, delimiter=",", skip_header=1)
    labels, plane = table[:, 1].astype(int), table[:, 2:4]
    share = np.bincount(labels, minlength=7) / rows
    expected = np.array(made_up_set.AFFECTNET_COUNTS) / 283901
    # Four standard deviations of a share of 2,000 draws, sqrt(p (1 - p) / 2000), p <= 0.5: 0.045.
    assert np.abs(share - expected).max() < 0.045
    centers = np.stack([plane[labels == c].mean(axis=0) for c in (0, 1, 2)])
    # Prototypes of Neutral, Happy, Sad; the mean of >= 150 draws of deviation 0.26 is within 0.1.
    assert np.abs(centers - [[0, -0.05], [0.65, 0.3], [-0.55, -0.45]]).max() < 0.1
    assert len(list(images.glob("*/*.jpg"))) == rows
    assert sorted(p.name for p in images.iterdir()) == ["0000", "0001"]
    before = csv.stat().st_mtime_ns
    made_up_set.make_up_set(tmp_path / "set", rows, pixels, progress=False)
    assert csv.stat().st_mtime_ns == before
