"""A made-up MobileFaceNet file and a few drawn faces, for the tests of frozen backbones."""

import dataclasses

import pytest
from helpers.onnx_files import parts_of, random_network, write_onnx

from ldl_fer.config.presets import PRESETS
from ldl_fer.preparation.drawn_faces.data_set import draw_faces

SIDE, COUNT, TESTED = 32, 40, 12


@dataclasses.dataclass(frozen=True)
class FrozenFaces:
    """Where they lie."""

    folder: object

    def config(self, run_dir, **settings):
        """A short training of a small head."""
        images = str(self.folder / "drawn/images")
        made = PRESETS["frozen"].replace(
            pretrained=str(self.folder / "made_up.onnx"),
            train_data_path=str(self.folder / "drawn/train.csv"),
            train_image_dir=images,
            val_data_path=str(self.folder / "drawn/test.csv"),
            val_image_dir=images,
            records_dir=str(self.folder / "records"),
            run_dir=str(run_dir),
            image_size=SIDE,
            num_neighbors=3,
            head_units=16,
            batch_size=16,
            epochs=1,
            pictures=False,
        )
        return made.replace(**settings)


def write_mobilefacenet(file):
    pytest.importorskip("onnxruntime", reason="--pretrained needs the optional package onnxruntime")
    onnx = pytest.importorskip("onnx", reason="--pretrained needs the optional package onnx")
    write_onnx(onnx, file, *parts_of(onnx, random_network("relu6"), True))


def make_frozen_faces(folder, train=COUNT):
    write_mobilefacenet(folder / "made_up.onnx")
    draw_faces(folder / "drawn", train=train, test=TESTED, size=SIDE, progress=False)
    return FrozenFaces(folder)
