"""The data of a folder's trainings, and a run that nothing stopped."""

import pytest
import tensorflow as tf
from helpers.killed_training import config_of, drawn, run_process


@pytest.fixture(scope="module", autouse=True)
def graphs_as_in_a_process_of_their_own():
    """Has graphs optimized here too: else other operations round, and these tests ask for bits."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def whole(folder):
    """An uninterrupted run."""
    assert run_process(config_of(folder, "whole"))[0] == 0
    return folder / "whole"
