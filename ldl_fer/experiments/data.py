"""Makes the data sets of an experiment: the user's, with labels made wrong or doubled."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from ldl_fer.config.settings import DataConfig
from ldl_fer.data.annotation_checks import NEIGHBORS, PATH
from ldl_fer.data.annotations import Annotations, read_annotations
from ldl_fer.data.auxiliary import landmarks_of_whole
from ldl_fer.errors import InputError
from ldl_fer.experiments.tables import CLEAN, LABEL_SPACE, RANDOM_SPACE, Noise
from ldl_fer.files import whole_file
from ldl_fer.preparation.noise.add import add_noise
from ldl_fer.preparation.noise.label_list import CLEAN_LABEL, relabeled

ONE_VOTE = Noise("one_vote")
_WITHIN_CLASS = 0.05  # standard deviation around a class's corner; corners are 1.4 apart


@dataclasses.dataclass(frozen=True)
class Sets:
    """The data sets of an experiment: paths of the given ones, and those made of them.

    Attributes:
      name: of the data set, in tables.
      data: the user's paths of training and validation, K, classes.
      test_data_path, test_image_dir: of the test set.
      other_train_data_path, other_test_data_path: of a second annotator, whose paths start from
        the same folders; empty: one random human vote a picture, where there are votes.
      folder: where changed CSV files go.
      subset: how many training rows are used, drawn once for all; 0: all.
    """

    name: str
    data: DataConfig
    test_data_path: str
    test_image_dir: str
    folder: Path
    subset: int = 0
    other_train_data_path: str = ""
    other_test_data_path: str = ""

    def training_csv(self, noise: Noise, seed: int, union: bool) -> Path:
        """Returns the training CSV with an experiment's labels; makes it where it is missing.

        Args:
          noise: how labels are made wrong; `clean_expression` keeps the given ones.
          seed: of the noise.
          union: whether each picture comes twice, with the labels of both annotators.

        Raises:
          InputError: the CSV cannot be read, or has no votes where they are needed.
        """
        noise_name = str(noise).replace(" ", "-")
        kinds = ["train", f"{self.subset}-rows"] + ["union"] * union + [noise_name]
        if noise != CLEAN or union:
            kinds.append(f"seed-{seed}")
        sources = [self.data.train_data_path] + [self.other_train_data_path] * union
        path = self._made(kinds, sources)
        if path.exists():
            return path
        annotations = self._subset(self.data.train_data_path)
        if union:
            annotations = self._union(annotations, seed)
        if noise == CLEAN:
            annotations = relabeled(annotations, annotations.labels)
        else:
            annotations = add_noise(annotations, noise.kind, noise.rate, seed)
        annotations.write(path)
        return path

    def space(self, name: str, csv_path: Path) -> dict[str, str]:
        """Returns the settings that find an auxiliary space; makes one of an experiment's own.

        Args:
          name: as --auxiliary, `RANDOM_SPACE` or `LABEL_SPACE`.
          csv_path: of `training_csv`; landmarks lie beside the user's CSV.
        """
        if name not in (RANDOM_SPACE, LABEL_SPACE):
            return landmarks_of_whole(self.data, name)
        file = csv_path.with_suffix(f".{name}")
        if not file.exists():
            table = self._read(str(csv_path)).table.drop_duplicates(PATH)
            random = np.random.default_rng(0)
            if name == RANDOM_SPACE:
                vectors = random.uniform(-1.0, 1.0, [len(table), 2])
            else:
                labels = table[CLEAN_LABEL].to_numpy(np.int64)
                vectors = np.eye(len(self.data.class_names))[labels]
                vectors += random.normal(0.0, _WITHIN_CLASS, vectors.shape)
            with whole_file(file) as partial, partial.open("wb") as opened:
                np.savez(opened, path=table[PATH].to_numpy(np.str_), vectors=vectors)
        return {"auxiliary": str(file)}

    def test_sets(self, union: bool, seed: int) -> dict[str, Path]:
        """Maps test sets to CSV files: the given one, with `union` the other annotator's too."""
        sets = {self.name: Path(self.test_data_path)}
        if not union:
            return sets
        if self.other_test_data_path:
            return sets | {f"{self.name} (other)": Path(self.other_test_data_path)}
        path = self._made(["test", ONE_VOTE.kind, f"seed-{seed}"], [self.test_data_path])
        if not path.exists():
            annotations = self._read(self.test_data_path)
            add_noise(annotations, ONE_VOTE.kind, None, seed).write(path)
        return sets | {f"{self.name} (one vote)": path}

    def _made(self, kinds: list[str], sources: list[str]) -> Path:
        """Returns a path: a readable name with a hash of the files that it is made from."""
        digest = hashlib.sha256()
        for source in filter(None, sources):
            try:
                digest.update(Path(source).read_bytes())
            except OSError as error:
                raise InputError(f"{source} cannot be read: {error.strerror}.") from error
        return self.folder / ("-".join([*kinds, digest.hexdigest()[:8]]) + ".csv")

    def _read(self, path: str) -> Annotations:
        return read_annotations(path, None, self.data.class_names, 1, progress=False)

    def _subset(self, path: str) -> Annotations:
        annotations = self._read(path)
        if not self.subset:
            return annotations
        if self.subset > len(annotations):
            raise InputError(f"--subset={self.subset}, but {path} has {len(annotations)} rows.")
        rows = np.random.default_rng(0).permutation(len(annotations))[: self.subset]
        return annotations.subset(np.sort(rows))

    def _union(self, annotations: Annotations, seed: int) -> Annotations:
        """Joins both annotators' rows, one after the other, by the columns that both have."""
        if self.other_train_data_path:
            other = self._subset(self.other_train_data_path)
        else:
            other = add_noise(annotations, ONE_VOTE.kind, None, seed)
        tables = [
            a.table.drop(columns=[NEIGHBORS, CLEAN_LABEL], errors="ignore").assign(annotator=who)
            for who, a in enumerate((annotations, other))
        ]
        both = pd.concat(tables, join="inner", ignore_index=True)
        return Annotations(both, annotations.class_names)
