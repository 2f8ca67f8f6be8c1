"""Shared by all tests: quiet TensorFlow, the folder of golden files, the folder of real faces."""

import importlib
import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
importlib.import_module("ldl_fer")  # before a test imports TensorFlow: it chooses Keras 2
import tensorflow as tf  # noqa: E402

# Optimizing a graph of a few steps takes longer than the steps. Commands in processes of their own
# have it optimized, as users do.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser):
    parser.addoption(
        "--golden",
        default=str(Path(__file__).with_name("golden")),
        help="Folder of released_*.npz files: steps of the released code, recorded with a tiny "
        "network; tests/methods/test_released_parity.py reads them.",
    )
    parser.addoption(
        "--golden_methods",
        default=str(Path(__file__).with_name("golden") / "methods"),
        help="Folder of scn_*, rul_*, eac_* and center*.npz: recordings of other methods' official "
        "code; its README.md says what is in them, tests/methods/test_official_recordings.py reads "
        "them.",
    )
    parser.addoption(
        "--kills",
        type=int,
        default=6,
        help="At how many places of a training tests/training/resume/test_resume.py kills it.",
    )


@pytest.fixture(scope="session")
def ferplus():
    """Folder of the real development faces; skips where it is absent."""
    folder = SHARED / "data" / "ferplus"
    if not folder.exists():
        pytest.skip(f"the development faces are not at {folder}")
    return folder
