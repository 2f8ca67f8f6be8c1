"""A damaged HDF5 file that never ends, or kills its reader, is told of in words."""

import base64
import os
import signal
import zlib

import h5py
import numpy as np
import pytest

from ldl_fer.errors import InputError
from ldl_fer.networks import model_files
from ldl_fer.networks.model_files import load_keras_model, try_reading

# An array and an attribute, with three bytes changed: h5py 3.10 turns in circles over it.
ENDLESS = (
    "c-rlh&q~8U5XNVATUd&vEeNe%%&U|(nuA!;9=xgeuLWx#K*Vc&gFb?f;#<|-%xq2KMbLxF_k%F(e6usV$xL3d@qW9t"
    "+oFJT)SxbvSu1W(T}S;wEvwDdzMAN_g{IqmcFCVuS<lozJxS9Ly{-}KtQuk+fv>>->^@mKJP!73(?`Oasm5K_?w@_L"
    "Zci)K`+7?=Gqq{kcjaPveRF?)wS2gp-v$2;bFs6#Ig6{D%aod#i>E0XN1sd#Gk?UFto3?OddVKiXe88k)PGjJ>5~WD"
    "7{gLZ^4Xa9(<J4;>U*CaO~&kR5Koy~%rpQ$&B17L$fX}D*Zwn)Pu2KU2k#63000000002^tGoj~KQ`O"
)


def test_an_endless_file_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files, "_SECONDS", 5)
    (tmp_path / "a.h5").write_bytes(zlib.decompress(base64.b85decode(ENDLESS)))
    # Another HDF5 may notice the damage itself.
    with pytest.raises(InputError, match="a.h5 is damaged"):
        load_keras_model(tmp_path / "a.h5")


def test_time_and_death_are_told(tmp_path, monkeypatch):
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as content:
        content["x"] = np.zeros(3)
    try_reading(file)
    monkeypatch.setattr(model_files, "_SECONDS", 0.01)
    with pytest.raises(InputError, match="a.h5 is damaged: reading it does not end"):
        try_reading(file)
    monkeypatch.setattr(model_files, "_SECONDS", 30)
    monkeypatch.setattr(
        model_files, "_PROGRAM", f"import os; os.kill(os.getpid(), {signal.SIGSEGV:d})"
    )
    with pytest.raises(InputError, match=r"a.h5 is damaged: reading it ends by signal 11"):
        try_reading(file)


def test_other_faults_are_left_to_the_loader(tmp_path):
    for name, content in (("a.h5", b"no model"), ("b.keras", b"no archive"), ("c.h5", b"")):
        (tmp_path / name).write_bytes(content)
        try_reading(tmp_path / name)
        with pytest.raises(InputError, match=f"{name} is damaged"):
            load_keras_model(tmp_path / name)
    os.mkfifo(tmp_path / "d.h5")
    try_reading(tmp_path / "d.h5")
    try_reading(tmp_path / "missing.h5")
