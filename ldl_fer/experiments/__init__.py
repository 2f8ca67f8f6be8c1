"""The paper's tables as commands; a small declarative file for each."""

from collections.abc import Mapping
from types import MappingProxyType

from ldl_fer.experiments import (
    ablation,
    inconsistent,
    neighbors,
    noise,
    original,
    uncertainty,
    votes,
)
from ldl_fer.experiments.experiment import Experiment

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        module.EXPERIMENT.name: module.EXPERIMENT
        for module in (noise, inconsistent, original, ablation, votes, uncertainty, neighbors)
    }
)
