"""samples.csv, read: paths as texts, distributions and neighbors as arrays."""

import numpy as np
import pandas as pd

from ldl_fer.data.samples import columns_of_runs, neighbor_numbers, read_samples, shares


def test_what_a_run_wrote_comes_back_as_arrays(tmp_path):
    table = pd.DataFrame(
        {
            "subDirectory_filePath": ["007", "1e3"],
            "target_sad": [1, 0],
            "target_happy": [0, 1],
            "neighbors": ["1;0", "0;1"],
            "contribution": ["0.25;0.75", "1.00000;0"],
            "calibration": ["1", "0"],
        }
    )
    table.to_csv(tmp_path / "samples.csv", index=False)
    samples = read_samples(tmp_path / "samples.csv")
    assert samples["subDirectory_filePath"].tolist() == ["007", "1e3"]  # no numbers
    found = shares(samples, "target", ("Happy", "Sad"))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[0, 1], [1, 0]])
    neighbors = neighbor_numbers(samples, "neighbors", int)
    assert neighbors.dtype == int and neighbors.tolist() == [[1, 0], [0, 1]]
    expected = [[0.25, 0.75], [1, 0]]
    np.testing.assert_array_equal(neighbor_numbers(samples, "contribution"), expected)
    # Of one neighbor the cell is read as a number.
    np.testing.assert_array_equal(neighbor_numbers(samples, "calibration"), [[1], [0]])
    assert {*table} - {*columns_of_runs(("Happy", "Sad"))} == {"subDirectory_filePath"}
