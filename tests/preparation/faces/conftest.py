"""Shared by the tests of faces: YuNet's file, and a folder of photos with their CSV."""

import pandas as pd
import pytest
from helpers.drawn_scenes import scene
from PIL import Image

PATH = "subDirectory_filePath"


@pytest.fixture(scope="module")
def yunet_file(pytestconfig):
    file = pytestconfig.rootpath.parent / "shared" / "models" / "yunet_n_320_320.onnx"
    if not file.exists():
        pytest.skip(f"YuNet is not at {file}")
    return file


@pytest.fixture
def photos(tmp_path):
    """Two pictures with a face, two, none, and files that cannot be read; and their CSV."""
    folder = tmp_path / "photos"
    (folder / "größe").mkdir(parents=True)
    files = {
        "one.jpg": scene((100, 60, 160)),
        "größe/two.bmp": scene((20, 30, 96), (200, 60, 160)),
        "none.png": scene(),
    }
    for name, picture in files.items():
        Image.fromarray(picture).save(folder / name)
    (folder / "cut.jpg").write_bytes((folder / "one.jpg").read_bytes()[:200])
    names = [*files, "cut.jpg", "absent.jpg"]
    table = pd.DataFrame({PATH: names, "expression": range(5), "knn": "1;2", "id": "007"})
    table.to_csv(tmp_path / "train.csv", index=False)
    return tmp_path
