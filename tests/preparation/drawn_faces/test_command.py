"""ldl-fer drawn_faces, as a user calls it."""

import pandas as pd
from helpers.called import call


def test_command(tmp_path):
    def run(*more):
        given = (f"--output_dir={tmp_path / 'faces'}", "--test=2", "--size=16", "--seed=5")
        return call("drawn_faces", *given, *more)

    done = run("--train=3")
    assert done.returncode == 0, done.stderr
    assert "3 training and 2 test faces" in done.stdout
    assert len(pd.read_csv(tmp_path / "faces" / "train.csv")) == 3
    refused = run("--train=4")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert "Traceback" not in refused.stderr
