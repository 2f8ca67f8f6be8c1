"""Readers of the field's data sets, a small file for each layout."""

from collections.abc import Mapping
from types import MappingProxyType

from ldl_fer.datasets import affectnet, ck_plus, class_folders, fer2013, ferplus, raf_db, sfew
from ldl_fer.datasets.data_set import DataSet
from ldl_fer.datasets.reader import Reader

__all__ = ["READERS", "DataSet", "Reader"]

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        module.READER.name: module.READER
        for module in (raf_db, affectnet, sfew, ferplus, fer2013, ck_plus, class_folders)
    }
)
