"""What holds for all methods beside LDLVA: registry, settings, checkpoint, what is left."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import (
    CLASSES,
    SAMPLES,
    assert_equal_variables,
    batch,
    compiled,
    feature_network,
    own_variables,
    softmax,
    state,
    teachers_of,
    tiny_network,
    without_chance,
)
from helpers.toy_batch import assert_loss_differentiates

from ldl_fer.config import Config, fields
from ldl_fer.config.methods import METHOD_SETTINGS
from ldl_fer.config.presets import PRESETS
from ldl_fer.errors import InputError
from ldl_fer.methods import METHODS, neighbors_read, network_of_method
from ldl_fer.training.build import build_model
from ldl_fer.training.train import train

BASELINES = [name for name in METHODS if name != "ldlva"]
# What would else begin after some epochs.
AT_ONCE = dict(
    scn_relabel_epoch=0, scn_relabel_margin=0.0, nal_plain_share=0.0, ltnet_plain_share=0.0
)
COMPARING = {"scn", "rul", "ldl_alsg", "mixup", "dacl", "la_net", "ada_df", "dmue"}


def compares(method):
    return METHODS[method].compares_batch(Config().replace(method=method))


def test_every_method_that_can_be_asked_for_is_there():
    assert (
        list(METHODS) == list(METHOD_SETTINGS) == list(fields("top")["method"].metadata["choices"])
    )
    for name, settings in METHOD_SETTINGS.items():
        assert type(Config().replace(method=name).method_settings) is settings


@pytest.mark.parametrize(
    "settings",
    [
        dict(method="cross_entropy"),
        dict(method="label_smoothing"),
        dict(method="gce"),
        dict(method="sce"),
        dict(method="nal", nal_plain_share=0.0),
        dict(method="nal", nal_plain_share=0.0, nal_channel="complex"),
        dict(method="scn", scn_margin=0.9),
        dict(method="pdls"),
    ],
    ids=str,
)
def test_the_gradient_is_that_of_the_whole_loss(settings):
    names = ("Anger", "Happy", "Neutral")
    made = compiled(network=feature_network(3, 3), class_names=names, **settings)
    assert_loss_differentiates(made)


def test_defaults_are_the_papers():
    assert Config().label_smoothing.smoothing == 0.1
    # beta, delta_1, gamma, first relabeling, delta_2
    settings = Config().scn
    scn = (settings.scn_high_share, settings.scn_margin, settings.scn_rank_weight)
    # At batch 64 the margin is the authors' advice, not the paper's.
    assert scn == (0.7, 0.07, 0.5)
    assert (settings.scn_relabel_epoch, settings.scn_relabel_margin) == (10, 0.2)
    assert (Config().eac.eac_weight, Config().eac.eac_plain_share) == (5.0, 0.0)
    alsg = Config().ldl_alsg
    assert (alsg.alsg_graph, alsg.alsg_neighbors, alsg.alsg_weight) == ("batch", 5, 5e-4)
    settings = Config()
    assert settings.gce.gce_exponent == 0.7
    assert (settings.sce.sce_weight, settings.sce.sce_reverse_weight) == (0.1, 1.0)
    assert (settings.elr.elr_momentum, settings.elr.elr_weight) == (0.7, 3.0)
    assert settings.mixup.mixup_alpha == 0.2
    nal = settings.nal
    assert (nal.nal_channel, nal.nal_plain_share, nal.nal_noise) == ("simple", 1 / 3, 0.46)
    assert nal.nal_plain_weight == 0.0
    island = settings.island_loss
    assert (island.island_weight, island.island_angle_weight) == (0.01, 10.0)
    assert island.island_center_rate == 0.5
    assert settings.air.air_weight == 10.0
    dacl = settings.dacl
    assert (dacl.dacl_weight, dacl.dacl_center_rate) == (0.01, 0.5)
    assert dacl.dacl_units == (3584, 512, 64)
    soft = settings.soft
    assert (soft.soft_smoothing, soft.soft_weight, soft.soft_ramp_steps) == (0.3, 10.0, 960)
    assert (settings.mek.mek_smoothing, settings.mek.mek_weight) == (0.3, 0.1)
    assert (settings.nla.nla_share, settings.nla.nla_weight) == (0.5, 16.0)
    la = settings.la_net
    assert (la.la_neighbors, la.la_momentum, la.la_weight) == (8, 0.9, 1.0)
    ada = settings.ada_df
    assert (ada.ada_threshold, ada.ada_turn, ada.ada_high_share) == (0.7, 3.0, 0.7)
    assert ada.ada_margin == 0.07
    assert settings.resup.resup_weight == 5.0
    dmue = settings.dmue
    assert (dmue.dmue_soft_weight, dmue.dmue_similarity_weight) == (0.5, 1000.0)
    assert settings.ran.ran_margin == 0.1
    ltnet = settings.ltnet
    assert (ltnet.ltnet_machine_runs, ltnet.ltnet_machine_weight) == ((), 1 / 6)
    assert ltnet.ltnet_plain_share == 1 / 3
    assert (dmue.dmue_turn, dmue.dmue_train_confidence) == (9.0, True)
    assert (settings.pdls.pdls_label_share, settings.pdls.pdls_prior) == (0.8, "")


def test_a_methods_settings_come_with_its_flag_and_yield_to_flags():
    # In a process of its own: absl's flags are global.
    code = """
from absl import flags
from ldl_fer.config.flags import config_from_flags, define_flags
from ldl_fer.config.presets import PRESETS
define_flags()
flags.FLAGS(["x", "--method=eac"])
made = config_from_flags()
assert made.method == "eac"
assert made.augmentation.erase_probability == 0.5
assert made.augmentation.erase_area == (0.02, 0.25)
assert made == PRESETS["paper"].replace(
    method="eac", erase_probability=0.5, erase_area=(0.02, 0.25), erase_apart=True)
flags.FLAGS(["x", "--method=eac", "--erase_probability=0", "--eac_weight=2"])
made = config_from_flags()
assert made.augmentation.erase_probability == 0 and made.eac.eac_weight == 2
assert made.augmentation.erase_area == (0.02, 0.25)
for method in ("ldlva", "cross_entropy", "label_smoothing", "scn", "rul", "ldl_alsg"):
    flags.FLAGS.unparse_flags()
    for name in ("erase_probability", "eac_weight"):
        flags.FLAGS[name].unparse()
    flags.FLAGS(["x", "--method=" + method])
    assert config_from_flags() == PRESETS["paper"].replace(method=method)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="cross_entropy.*scn"):
        Config().replace(method="mvit")


class Records:
    """As many samples, of one class: all that a model asks of its training set."""

    def __init__(self, count):
        self.count, self.class_counts = count, (count, *[0] * 6)

    def __len__(self):
        return self.count

    def annotations(self):
        names = Config().data.class_names
        numbers = np.arange(self.count) % 2
        return SimpleNamespace(annotators=numbers, votes=None, class_names=names)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("smoothing", 1.5), ("scn_high_share", 1.1), ("scn_rank_weight", 2.0)),
        *(("scn_margin", -0.1), ("scn_relabel_epoch", -1), ("scn_relabel_margin", -0.1)),
        *(("eac_weight", -1.0), ("alsg_weight", -1.0), ("resup_weight", -1.0)),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        Config().replace(**{name: value})


def test_methods_that_compare_a_batchs_samples_refuse_parts_of_it(tmp_path):
    settings = dict(micro_batch_size=2, run_dir=str(tmp_path / "run"), backbone="small_cnn")
    assert {name for name in METHODS if compares(name)} == COMPARING
    for method in (*COMPARING, "gce"):
        config = Config().replace(method=method, image_size=32, **settings)
        # Another comes as far as to miss its data.
        words = f"--method={method}.*--micro_batch_size" if compares(method) else "training data"
        words = f"--{method}_teacher" if METHODS[method].teacher_runs(config) else words
        with pytest.raises(InputError, match=words):
            train(config)
    assert not (tmp_path / "run").exists()


def test_batches_tell_of_neighbors_only_where_they_are_used():
    for method in BASELINES:
        for neighbors in ("bank", "forward"):
            config = Config().replace(method=method, num_neighbors=5, neighbors=neighbors)
            assert neighbors_read(config) == (5 if method in ("ldl_alsg", "la_net") else 0)
            assert not METHODS[method].runs_neighbors(config)


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_build_model_makes_the_method_of_the_settings(method):
    config = PRESETS["small"].replace(method=method, batch_size=5, smoothing=0.25)
    network = METHODS[method].complete(tiny_network(), seed=0)
    made = build_model(config, Records(SAMPLES), network=network, teachers=teachers_of(config))
    assert type(made) is METHODS[method] and made.name == method
    assert made.config == config
    # 12 samples in batches of 5: 5 + 5 + 2
    assert made.steps_per_epoch == 3 and made.num_samples == SAMPLES
    assert made.optimizer.learning_rate.numpy() == np.float32(config.optimizer.learning_rate)
    # Two moments of every variable that is optimized, and the iteration.
    assert len(made.optimizer.variables) == 2 * len(made.optimized_variables) + 1
    made.train_step(batch())


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_compiled_equals_eager(method):
    # Small steps: large ones magnify rounding, which depends on how threads share the sums.
    eager, in_graph = (
        without_chance(
            compiled(
                method,
                optimizer=tf.keras.optimizers.SGD(0.01),
                **AT_ONCE,
            )
        )
        for _ in range(2)
    )
    step = tf.function(in_graph.train_step)
    for seed in range(4):
        first, second = eager.train_step(batch(seed)), step(batch(seed))
        assert set(first) == {*eager.LOSSES, "accuracy"}
        for name in first:
            np.testing.assert_allclose(first[name], second[name], rtol=1e-5, atol=1e-6)
    assert_equal_variables(state(eager), state(in_graph), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_evaluation_is_plain_cross_entropy_and_changes_nothing(method):
    made = compiled(method, class_weights=[3.0, 0.5, 1.0, 2.0, 0.0, 1.0, 4.0])
    made.train_step(batch(5))
    made.reset_metrics()
    metrics = {id(variable) for metric in made.metrics for variable in metric.variables}
    kept = [variable for variable in made.variables if id(variable) not in metrics]
    before = [variable.numpy() for variable in kept]
    total = right = count = 0
    for seed, size in ((1, 6), (2, 3)):
        data = batch(seed, size)
        found = tf.function(made.test_step)(data)
        probabilities = softmax(made.network(data["image"], training=False)[1].numpy())
        for row, label in zip(probabilities, data["label"].numpy(), strict=True):
            # mean of -log f_y, neither weighted nor smoothed nor mixed
            total -= np.log(row[label])
            right += np.argmax(row) == label
            count += 1
        np.testing.assert_allclose(found["loss"], total / count, rtol=1e-5)
        np.testing.assert_allclose(found["accuracy"], right / count, rtol=1e-6)
    assert made.confusion.result().numpy().sum() == count
    for variable, value in zip(kept, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.name)


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_the_network_is_left_without_a_variable_of_the_method(method):
    plain = tiny_network()
    network = METHODS[method].complete(plain, seed=0)
    expected = [id(variable) for variable in network.variables]
    # SCN's and Ada-DF's output has its importance: kernel, bias; RAN's two attentions.
    added = {"scn": 2, "ada_df": 2, "ran": 4}
    assert len(expected) == len(plain.variables) + added.get(method, 0)
    config = Config().replace(method=method)
    made = METHODS[method](network, config, SAMPLES, 2, teachers=teachers_of(config))
    made.compile(tf.keras.optimizers.SGD(0.1))
    made.train_step(batch())
    assert [id(variable) for variable in made.network.variables] == expected
    assert not {id(variable) for variable in own_variables(made)} & set(expected)
    # SCN: new labels. RUL: two moving statistics of each normalization, scale and center of the
    # second, kernel, bias. ELR: the memory.
    # NAL: channel and counts. LTNet: all annotators' matrices.
    counts = {"scn": 1, "rul": 8, "elr": 1, "nal": 2, "island_loss": 1, "ltnet": 1}
    # LA-Net: four dense layers with a bias and one without, targets.
    # Ada-DF: three dense layers, one of them without a bias, a normalization, two of classes.
    # DACL: four dense layers, four of each of three normalizations, centers.
    counts |= {"dacl": 21, "soft": len(network.variables), "la_net": 10, "ada_df": 11}
    # ReSup: the second network, similarities, what they say. DMUE: kernels and normalization of the
    # branches, two dense layers and a rectifier of the confidence.
    counts |= {"resup": len(network.variables) + 2, "dmue": 6 + 5}
    assert len(own_variables(made)) == counts.get(method, 0)
    data = batch(3)
    for a, b in zip(made(data["image"]), network(data["image"], training=False), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_a_checkpoint_holds_every_variable(method, tmp_path):
    def make(seed):
        adam = tf.keras.optimizers.Adam(1e-2)
        return without_chance(compiled(method, tiny_network(seed), adam, **AT_ONCE))

    first, second = make(0), make(1)
    for seed in range(3):
        first.train_step(batch(seed))
    path = tf.train.Checkpoint(**first.parts()).write(str(tmp_path / "state"))
    second.train_step(batch(9))
    for variable in state(second):
        if variable.dtype.is_floating:
            variable.assign_add(tf.ones_like(variable))
    tf.train.Checkpoint(**second.parts()).read(path).assert_existing_objects_matched()
    assert_equal_variables(state(first), state(second), atol=0)
    for seed in (3, 4):
        first.train_step(batch(seed))
        second.train_step(batch(seed))
    assert_equal_variables(state(first), state(second), atol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        *((name, {}) for name in BASELINES if not compares(name)),
        ("ldl_alsg", {"alsg_graph": "training_set"}),
    ],
    ids=str,
)
def test_steps_in_parts_are_the_whole_steps(method, settings):
    # Without batch normalization, whose statistics would be a part's own.
    whole = compiled(method, tiny_network(batch_norm=False), **settings)
    parts = compiled(method, tiny_network(batch_norm=False), micro_batch_size=4, **settings)
    for seed in range(3):
        expected, found = whole.train_step(batch(seed)), parts.train_step(batch(seed))
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    assert_equal_variables(state(whole), state(parts), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_huge_logits_give_no_nan(method):
    network = tiny_network()
    kernel = network.get_layer("logits").kernel
    kernel.assign(1e6 * kernel)
    made = compiled(method, network, tf.keras.optimizers.SGD(1e-9))
    for seed in range(2):
        logs = made.train_step(batch(seed))
        assert all(np.isfinite(value) for value in logs.values())
    for variable in made.variables:
        assert np.isfinite(variable.numpy()).all(), variable.name


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
def test_a_batch_of_one_sample_passes(method):
    made = compiled(method, tiny_network(batch_norm=False))
    logs = made.train_step(batch(0, size=1))
    assert all(np.isfinite(value) for value in logs.values())
    for variable in made.variables:
        assert np.isfinite(variable.numpy()).all(), variable.name


@pytest.mark.slow
@pytest.mark.parametrize("method", BASELINES)
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_every_precision_trains(method, precision):
    config = PRESETS["small"].replace(method=method, precision=precision, image_size=32)
    teachers = teachers_of(config, lambda seed: network_of_method(config.replace(seed=seed)))
    made = build_model(config, Records(SAMPLES), teachers=teachers)
    data = batch(size=4)
    images = np.random.default_rng(0).integers(0, 256, [4, 32, 32, 3]).astype(np.uint8)
    logs = made.train_step(data | {"image": tf.constant(images)})
    assert all(np.isfinite(value) for value in logs.values())


@pytest.mark.parametrize("method", BASELINES)
def test_a_step_that_loss_scaling_leaves_out_moves_nothing(method):
    sgd = tf.keras.optimizers.SGD(0.1)
    scaled = tf.keras.mixed_precision.LossScaleOptimizer(sgd, initial_scale=2.0**120)
    # gradients of 1e9 * 2^120 overflow
    settings = dict(optimizer=scaled, class_weights=[1e9] * CLASSES, **AT_ONCE)
    made = compiled(method, tiny_network(batch_norm=False), **settings)
    if made.looks_up_outputs(made.config):
        made.visit(batch(size=SAMPLES))
    # The statistics of batch normalization are those of the passes, a step taken or not.
    own = [variable for variable in own_variables(made) if "moving_" not in variable.name]
    variables = [*made.network.trainable_variables, *own]
    before = [variable.numpy() for variable in variables]
    made.train_step(batch())
    assert scaled.loss_scale.numpy() == 2.0**119  # the step was left out
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.name)
