"""The released code's numbers, step by step, from recorded files.

pytest tests/methods/test_released_parity.py [--golden=DIR]     another folder of such files

A file holds three steps of the released code on random inputs, with the network of `build_network`:
labels [N], class_weights [C] where used, hparams (learning rates and constants in the order of
`build_model`), init/* and step1/* to step3/* with the variables as `state` names them, the inputs
as `batch_of` reads them, and what the step computed from them, as the test compares it.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ldl_fer.config.presets import PRESETS
from ldl_fer.methods.ldlva import LDLVA

STEPS = 3


def pytest_generate_tests(metafunc):
    files = sorted(Path(metafunc.config.getoption("--golden")).glob("*.npz"))
    if not files:
        raise pytest.UsageError(
            f"--golden={metafunc.config.getoption('--golden')} has no .npz file"
        )
    metafunc.parametrize("path", [pytest.param(path, id=path.stem) for path in files])


def build_network(golden):
    """features = relu(flatten(image) W + b), logits = features W' + b'."""
    images = tf.keras.Input(golden["step1/images"].shape[1:])
    size, classes = golden["init/head_kernel"].shape
    flat = tf.keras.layers.Flatten()(images)
    features = tf.keras.layers.Dense(size, activation="relu", name="backbone")(flat)
    logits = tf.keras.layers.Dense(classes, name="head")(features)
    return tf.keras.Model(images, [features, logits])


def build_model(golden):
    rate, gamma, init, uncertainty_rate, momentum = (float(x) for x in golden["hparams"])
    config = PRESETS["released_raf_resnet18"].replace(
        gamma=gamma,
        uncertainty_init=init,
        uncertainty_learning_rate=uncertainty_rate,
        uncertainty_momentum=momentum,
    )
    weights = golden["class_weights"].tolist() if "class_weights" in golden else None
    model = LDLVA(build_network(golden), config, len(golden["labels"]), 1, weights)
    model.compile(tf.keras.optimizers.Adam(rate, epsilon=1e-7))
    return model


def state(model):
    """The model's variables under the names of the golden arrays."""
    network, g = model.network, model.calibrator
    names = {
        "lambda_logits": model.uncertainty.value,
        "centers": model.centers.centers,
    }
    for name in ("backbone", "head"):
        layer = network.get_layer(name)
        names[f"{name}_kernel"], names[f"{name}_bias"] = layer.kernel, layer.bias
    for n, layer in enumerate((g.dense1, g.dense2, g.dense3), start=1):
        names[f"sim_dense{n}_kernel"], names[f"sim_dense{n}_bias"] = layer.kernel, layer.bias
    for n, layer in enumerate((g.norm1, g.norm2), start=1):
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            names[f"sim_bn{n}_{part}"] = getattr(layer, part)
    return names


def batch_of(golden, step):
    indices = golden[f"step{step}/indices"]
    neighbors = golden[f"step{step}/neighbor_indices"]
    # Recorded is s itself: places that have it by s = exp(-(|dv| + |da|) / 0.5).
    distance = -0.5 * np.log(golden[f"step{step}/local_similarity"].astype(np.float64))
    return {
        "image": golden[f"step{step}/images"],
        "label": golden["labels"][indices],
        "sample_id": indices,
        "neighbors": neighbors,
        "neighbor_labels": golden["labels"][neighbors],
        "auxiliary": np.zeros([len(indices), 2]),
        "neighbor_auxiliary": np.stack([distance, np.zeros_like(distance)], axis=-1),
        "neighbor_image": golden[f"step{step}/neighbor_images"],
    }


def as_tensors(batch):
    return {
        name: tf.constant(a, tf.int32 if a.dtype.kind == "i" else tf.float32)
        for name, a in batch.items()
    }


def close(value, expected, name):
    absolute = 1e-4 if name in ("sim_dense1_bias", "sim_dense2_bias") else 1e-5
    np.testing.assert_allclose(value, expected, atol=absolute, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_walks_the_recorded_steps(path, compiled):
    golden = np.load(path)
    model = build_model(golden)
    for name, variable in state(model).items():
        variable.assign(golden[f"init/{name}"])
    train_step = tf.function(model.train_step) if compiled else model.train_step
    for step in range(1, STEPS + 1):
        batch = as_tensors(batch_of(golden, step))
        for metric in model.metrics:
            metric.reset_state()
        _check_construction(model, batch, golden, step)
        logs = train_step(batch)
        for ours, theirs in (
            ("classification_loss", "classification_loss"),
            ("discriminative_loss", "center_loss"),
            ("loss", "total_loss"),
        ):
            close(logs[ours], golden[f"step{step}/{theirs}"], f"step {step} {theirs}")
        for name, variable in state(model).items():
            close(variable, golden[f"step{step}/{name}"], name)


def _check_construction(model, batch, golden, step):
    """Values before the step; the calibrator's moving statistics are put back afterwards."""
    moving = [(v, v.numpy()) for v in model.calibrator.non_trainable_variables]
    features, logits = model.network(batch["image"], training=False)
    neighbors = model.neighbor_pass(batch["neighbor_image"], training=False)
    made = model.construct(batch, features, neighbors, training=True)
    for variable, value in moving:
        variable.assign(value)
    close(features, golden[f"step{step}/features"], "features")
    close(tf.nn.softmax(logits), golden[f"step{step}/probabilities"], "probabilities")
    close(made.calibration, golden[f"step{step}/calibration"], "calibration")
    close(made.target, golden[f"step{step}/target"], "target")
