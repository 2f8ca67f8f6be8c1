"""Other methods' official code, walked step by step from recorded files.

pytest tests/methods [--golden_methods=DIR]     another folder of such files

tests/golden/methods/README.md says what the files hold. Kernels are in PyTorch's order, [out, in].
"""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from helpers.tiny_networks import compiled, feature_network, without_chance

from ldl_fer import equations
from ldl_fer.methods import rul
from ldl_fer.methods.centers import PulledCenters
from ldl_fer.methods.dacl import sparse_center_loss
from ldl_fer.methods.eac import attention_maps
from ldl_fer.methods.scn import NOT_RELABELED, low_importance

layers = tf.keras.layers


def close(found, expected, name):
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-4, err_msg=name)


def classify(network, kernel, bias):
    network.get_layer("logits").set_weights([kernel.T, bias])


def walk_scn(recorded):
    batch_size, count, size, classes, relabel_epoch, _ = (int(n) for n in recorded["meta"])
    high_share, margin, relabel_margin, rate = (float(x) for x in recorded["f"])
    made = compiled(
        "scn",
        feature_network(size, classes),
        # Ours is half of the recorded loss: weights 1/2 and 1/2, not 1 and 1.
        optimizer=tf.keras.optimizers.SGD(2 * rate),
        steps_per_epoch=-(-count // batch_size),
        samples=count,
        scn_high_share=high_share,
        scn_margin=margin,
        scn_relabel_margin=relabel_margin,
        scn_relabel_epoch=relabel_epoch,
    )
    classify(made.trained, recorded["fc_w"], recorded["fc_b"])
    made.importance.set_weights([recorded["a_w"].T, recorded["a_b"]])
    kernel, labels = made.trained.get_layer("logits").kernel, recorded["y"].astype(np.int32)
    for step in range(int(recorded["steps"])):
        expected = {
            name: recorded[f"{step}_{name}"]
            for name in (
                *("ids", "epoch", "targets", "labels", "alpha", "out", "tops", "rr", "loss"),
                *("gx", "gfc", "ga"),
            )
        }
        ids = expected["ids"].astype(np.int32)
        assert int(expected["epoch"]) == step // made.steps_per_epoch + 1
        features = tf.constant(recorded["X"][ids])
        data = {"image": features, "label": tf.constant(labels[ids]), "sample_id": ids}
        with tf.GradientTape() as tape:
            tape.watch(features)
            rows = made.losses(data, None)
            loss = 2.0 * tf.reduce_mean(rows.loss)
        gradients = tape.gradient(loss, [features, kernel, made.importance.kernel])
        np.testing.assert_array_equal(rows.label, expected["targets"])
        low = low_importance(rows.importance, high_share)
        assert (low.numpy() == 0).sum() == expected["tops"]
        close(rows.importance, expected["alpha"], f"step {step} alpha")
        close(made(features)[1], expected["out"], f"step {step} out")
        close(rows.rank_regularization[0], expected["rr"], f"step {step} rr")
        close(loss, expected["loss"], f"step {step} loss")
        for name, gradient in zip(("gx", "gfc", "ga"), gradients, strict=True):
            value = gradient if name == "gx" else tf.transpose(gradient)
            close(value, expected[name], f"step {step} {name}")
        made.train_step(data)
        new = made.new_labels.numpy()
        now = np.where(new == NOT_RELABELED, labels, new)
        np.testing.assert_array_equal(now, expected["labels"], err_msg=f"step {step} labels")


def walk_rul(recorded):
    classes, size = recorded["fc_w"].shape
    made = without_chance(compiled("rul", feature_network(size, classes)))
    classify(made.trained, recorded["fc_w"], recorded["fc_b"])
    dense, norm = made.uncertainty.get_layer("dense"), made.uncertainty.get_layer("norm2")
    for variable, name in (
        (dense.kernel, "lv_w"),
        (dense.bias, "lv_b"),
        (norm.gamma, "lv_g"),
        (norm.beta, "lv_be"),
    ):
        variable.assign(recorded[name].T)
    features = tf.constant(recorded["X"])
    data = {"image": features, "label": tf.constant(recorded["y"], tf.int32)}
    kernel = made.trained.get_layer("logits").kernel
    mixing = mock.patch.object(rul, "mixed_features", wraps=rul.mixed_features)
    with mixing as mix, tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_mean(made.losses(data, None).loss)
    faces = mix.call_args.args
    mixed, ones = rul.mixed_features(*faces), tf.ones_like(features)
    # Of a face of ones and one of zeros, the share is what is left.
    shares = rul.mixed_features(ones, tf.zeros_like(ones), *faces[2:])
    variables = [features, kernel, dense.kernel, norm.gamma, norm.beta]
    gradients = tape.gradient(loss, variables)
    close(shares[:, 0], recorded["att1"], "att1")
    close(mixed, recorded["mixed"], "mixed")
    close(made.read_out(mixed), recorded["out"], "out")
    close(loss, recorded["loss"], "loss")
    for name, gradient in zip(("gx", "g_fc", "g_w", "g_g", "g_be"), gradients, strict=True):
        value = gradient.numpy()
        close(value if name == "gx" else value.T, recorded[name], name)


def eac_network(recorded, batch_norm):
    filters, _, side, _ = recorded["w"].shape
    pixels = x = tf.keras.Input(recorded["px"].shape[1:])
    x = layers.Conv2D(filters, side, strides=side, name="convolution")(x)
    x = layers.BatchNormalization(epsilon=1e-5)(x) if batch_norm else x
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    backbone = tf.keras.Model(pixels, x, name="backbone")
    images = tf.keras.Input(pixels.shape[1:])
    x = backbone(layers.Rescaling(1 / 127.5, -1.0, name="pixels")(images))
    features = layers.Activation("linear", name="features")(x)
    logits = layers.Dense(len(recorded["fcw"]), name="logits")(features)
    network = tf.keras.Model(images, [features, logits], name="network")
    convolution = backbone.get_layer("convolution")
    convolution.set_weights([recorded["w"].transpose(2, 3, 1, 0), recorded["b"]])
    classify(network, recorded["fcw"], recorded["fcb"])
    return network, convolution


def walk_eac(recorded, batch_norm=False):
    network, convolution = eac_network(recorded, batch_norm)
    made = compiled("eac", network)
    data = {"image": tf.constant(recorded["px"]), "mirrored_image": tf.constant(recorded["px2"])}
    data["label"] = tf.constant(recorded["y"], tf.int32)
    with tf.GradientTape() as tape:
        rows = made.losses(data, None)
        loss = tf.reduce_mean(rows.loss)
    of_convolution, of_classifier = tape.gradient(loss, [convolution.kernel, made.kernel])
    (maps, _, _), _ = made.pass_views(data)
    attention = attention_maps(maps, made.kernel).numpy()
    close(attention.transpose(0, 3, 1, 2), recorded["hm1"], "hm1")
    close(rows.logits, recorded["out"], "out")
    close(tf.reduce_mean(rows.classification_loss), recorded["ce"], "ce")
    close(tf.reduce_mean(rows.consistency_loss), recorded["cons"], "cons")
    close(loss, recorded["loss"], "loss")
    close(of_convolution.numpy().transpose(3, 2, 0, 1), recorded["gw"], "gw")
    close(of_classifier.numpy().T, recorded["gfc"], "gfc")


def walk_center(recorded):
    features, labels = tf.constant(recorded["X"]), tf.constant(recorded["y"], tf.int32)
    centers = PulledCenters(*recorded["mu"].shape, rate=0.5, deviation=1.0)
    for kind, attention in (("d_ones", np.ones_like(recorded["X"])), ("d_A", recorded["A"])):
        centers.centers.assign(recorded["mu"])
        attention = tf.constant(attention)
        with tf.GradientTape() as tape:
            tape.watch([features, attention])
            loss = tf.reduce_mean(sparse_center_loss(features, centers(labels), attention))
        of_features, of_attention = tape.gradient(loss, [features, attention])
        pull = attention * (centers(labels) - features)
        centers.update(*centers.sums(pull, labels))
        close(loss, recorded[f"{kind}_loss"], f"{kind} loss")
        close(of_features, recorded[f"{kind}_gx"], f"{kind} gx")
        close(of_attention, recorded[f"{kind}_gA"], f"{kind} gA")
        step = (recorded["mu"] - centers.centers.numpy()) / 0.5
        close(step, recorded[f"{kind}_gc"], f"{kind} gc")
        close(centers.centers, recorded[f"{kind}_new"], f"{kind} new")
    # Without the 1/2, and centers that automatic differentiation moves: of those no method is here.
    own = tf.gather(recorded["mu"], labels)
    loss = equations.center_loss(features, own, tf.ones_like(features[:, 0]))
    close(2.0 * tf.reduce_mean(loss), recorded["k_loss"], "k loss")


WALKS = {"scn": walk_scn, "rul": walk_rul, "eac": walk_eac, "center": walk_center}


def pytest_generate_tests(metafunc):
    if "path" not in metafunc.fixturenames:
        return
    folder = Path(metafunc.config.getoption("--golden_methods"))
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise pytest.UsageError(f"--golden_methods={folder} has no .npz file")
    metafunc.parametrize("path", [pytest.param(path, id=path.stem) for path in files])


def test_walks_the_recorded_steps(path):
    method, *kinds = path.stem.split("_")
    assert method in WALKS, f"{path.name} is of no method that is known here: {', '.join(WALKS)}"
    settings = {"batch_norm": True} if "bn" in kinds else {}
    with np.load(path) as recorded:
        WALKS[method](recorded, **settings)
