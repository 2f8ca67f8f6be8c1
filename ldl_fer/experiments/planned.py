"""The trainings of an experiment, each with its data, settings and folder."""

import dataclasses
import hashlib
import json
from pathlib import Path

from ldl_fer.config import Config
from ldl_fer.experiments.data import Sets
from ldl_fer.experiments.experiment import Experiment, Noise, Variant
from ldl_fer.presets import replaced
from ldl_fer.runs import Run

EPOCHS = ("best", "last")  # Which of its networks a run is tested with.


@dataclasses.dataclass(frozen=True)
class Planned:
    """One training of an experiment."""

    variant: Variant
    noise: Noise
    seed: int
    config: Config
    tests: dict[str, Path]
    test_image_dir: str

    @property
    def run(self) -> Run:
        """Its run folder."""
        return Run(self.config.run.run_dir)

    @property
    def record(self) -> Path:
        """Written last: seconds of training and commit."""
        return self.run.folder / "finished.json"

    @property
    def lock(self) -> Path:
        """Beside its run folder: some process is at it."""
        return self.run.folder.with_name(f".{self.run.folder.name}.lock")

    def result(self, dataset: str, epoch: str) -> Path:
        """Folder of a test set's result.json."""
        return self.run.folder / f"{dataset}-{epoch}"

    def __str__(self) -> str:
        parts = (self.variant.method, self.variant.setting, f"noise {self.noise}")
        return ", ".join(part for part in (*parts, f"seed {self.seed}") if part)


def plan(
    experiment: Experiment,
    sets: Sets,
    config: Config,
    seeds: tuple[int, ...],
    runs_dir: Path,
) -> list[Planned]:
    """Every training of an experiment, seed by seed, with its data made.

    Args:
      experiment: what is to be trained.
      sets: on which data.
      config: the user's settings; data paths, seed and run folder are filled in.
      seeds: of noise and training.
      runs_dir: where run folders go.
    """
    planned = []
    for seed in seeds:
        for noise in experiment.noises:
            data = sets.training_csv(noise, seed, experiment.union)
            tests = sets.test_sets(experiment.union, seed)
            for variant in experiment.variants:
                settings = {**variant.settings, "train_data_path": str(data), "seed": seed}
                made = replaced(config, settings)
                folder = runs_dir / _folder_name(noise, seed, made, tests)
                made = made.replace(run_dir=str(folder))
                planned.append(Planned(variant, noise, seed, made, tests, sets.test_image_dir))
    return planned


def _folder_name(noise: Noise, seed: int, config: Config, tests: dict[str, Path]) -> str:
    """Method, noise and seed, and a hash of every setting and set but places of output."""
    settings = dataclasses.asdict(config)
    del settings["data"]["records_dir"], settings["run"], settings["network"]["trust_model"]
    settings["tests"] = {name: str(path) for name, path in tests.items()}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
    words = f"{config.method} {noise} seed {seed}"
    return "-".join([*words.split(), digest])
