"""The probabilities of a network, from its logits by the definition of softmax."""

import numpy as np


def live_probabilities(network, images):
    """softmax(z) = exp(z - max z) / sum exp(z - max z) of the logits; images [B, H, W, 3]."""
    logits = network(np.asarray(images, np.float32), training=False)[1].numpy().astype(np.float64)
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)
