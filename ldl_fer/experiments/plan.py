"""Plans the trainings of an experiment: variants x noises x seeds, each with its run folder.

TensorFlow is not loaded here: mistakes in the arguments are named first.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ldl_fer.config import Config
from ldl_fer.config.methods import METHOD_SETTINGS
from ldl_fer.config.presets import replaced
from ldl_fer.experiments.data import Sets
from ldl_fer.experiments.tables import CLEAN, Experiment, Noise, Variant
from ldl_fer.training.run import Run


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
        """Run folder."""
        return Run(self.config.run.run_dir)

    @property
    def record(self) -> Path:
        """File with seconds of training, number of parameters and commit, written last."""
        return self.run.folder / "finished.json"

    @property
    def lock(self) -> Path:
        """Lock file beside the run folder, claimed by the process that is at the run."""
        return self.run.folder.with_name(f".{self.run.folder.name}.lock")

    def result(self, dataset: str, epoch: str) -> Path:
        """Returns the folder of a test set's result.json."""
        return self.run.folder / f"{dataset}-{epoch}"

    @property
    def last_epochs(self) -> Path:
        """CSV of the test accuracies after each of the last epochs: epoch, and a column a set."""
        return self.run.folder / "test_accuracy.csv"

    def __str__(self) -> str:
        parts = (self.variant.method, self.variant.setting, f"noise {self.noise}")
        return ", ".join(part for part in (*parts, f"seed {self.seed}") if part)


def plan(
    experiment: Experiment,
    sets: Sets,
    config: Config,
    seeds: tuple[int, ...],
    runs_dir: Path,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> list[Planned]:
    """Plans every training of an experiment, seed by seed, and makes its data.

    A method that needs pictures is left out where the backbone is frozen. A teacher that is not
    named is the network of plain training on the same data, by the same seed; of several such
    variants that with the user's settings, else the first.

    Args:
      experiment: to be trained.
      sets: the data.
      config: the user's settings; data paths, seed and run folder are filled in.
      seeds: of noise and training.
      runs_dir: where run folders go.
      given: settings of `config` that the user named: they win over what a method brings.
    """
    planned = []
    for seed in seeds:
        for noise in experiment.noises:
            data = sets.training_csv(noise, seed, experiment.union)
            tests = sets.test_sets(experiment.union, seed)

            def in_its_folder(settings, noise=noise, seed=seed, data=data, tests=tests):
                space = sets.space(settings.get("auxiliary", config.data.auxiliary), data)
                settings = {
                    **given,
                    **settings,
                    "train_data_path": str(data),
                    "seed": seed,
                    **space,
                }
                clean = noise == CLEAN and not experiment.union
                made = replaced(config, settings, clean_labels=clean)
                return made.replace(run_dir=str(runs_dir / _folder_name(noise, seed, made, tests)))

            users = in_its_folder({"method": "cross_entropy"}).run.run_dir
            plain = [
                in_its_folder(variant.settings).run.run_dir
                for variant in experiment.variants
                if variant.settings.get("method") == "cross_entropy"
            ]
            teacher = users if users in plain else [*plain, users][0]
            for variant in experiment.variants:
                made = in_its_folder(variant.settings)
                if made.network.frozen and made.method_settings.needs_pictures:
                    continue
                if made.method_settings.taught_by and not made.method_settings.teacher:
                    made = made.replace(**{made.method_settings.taught_by: teacher})
                planned.append(Planned(variant, noise, seed, made, tests, sets.test_image_dir))
    return planned


def _folder_name(noise: Noise, seed: int, config: Config, tests: dict[str, Path]) -> str:
    """Names method, noise and seed, and a hash of settings and sets.

    Places of output and other methods' settings are left out.
    """
    settings = dataclasses.asdict(config)
    for other in METHOD_SETTINGS.keys() - {config.method}:
        del settings[other]
    del settings["data"]["records_dir"], settings["run"], settings["network"]["trust_model"]
    settings["tests"] = {name: str(path) for name, path in tests.items()}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
    words = f"{config.method} {noise} seed {seed}"
    return "-".join([*words.split(), digest])


def with_teachers(wanted: list[Planned], planned: list[Planned]) -> list[Planned]:
    """Returns the wanted runs, and before them those of `planned` that teach one of them."""
    taught_by = {one.config.method_settings.teacher for one in wanted}
    teachers = [one for one in planned if one.config.run.run_dir in taught_by]
    return teachers + [one for one in wanted if one not in teachers]
