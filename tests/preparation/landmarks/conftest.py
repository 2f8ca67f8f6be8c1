"""Shared by the tests of landmarks: a made-up model, and the real one's file."""

import pytest
from conftest import SHARED
from helpers.landmark_models import bright_spot_model


@pytest.fixture(scope="session")
def made_model(tmp_path_factory):
    return bright_spot_model(tmp_path_factory.mktemp("made") / "made.tflite")


@pytest.fixture(scope="session")
def face_mesh_file():
    file = SHARED / "models" / "face_landmark.tflite"
    if not file.exists():
        pytest.skip(f"MediaPipe's face mesh is not at {file}")
    return file
