"""What is handed on: probabilities in float32."""

import numpy as np
import tensorflow as tf
from scipy.special import softmax

from ldl_fer.networks.saved_model import probabilities


def test_probabilities_are_the_softmax_of_the_logits_whatever_the_arithmetic():
    logits = np.array([[0.0, 1.0, 3.0], [9.0, 9.0, -9.0]])
    seen = []

    def network(images, training):
        seen.append((images, training))
        return tf.zeros([2, 1]), tf.constant(logits, tf.float16)

    made = probabilities(network, "images")
    assert seen == [("images", False)] and made.dtype == tf.float32
    np.testing.assert_allclose(made, softmax(logits, axis=1), atol=1e-6)
