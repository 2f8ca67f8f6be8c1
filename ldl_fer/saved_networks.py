"""What all networks that are handed on have in common, of whichever kind."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

EXTRA = "assets.extra"  # folder within a SavedModel for what the saver tells of it
TOLERANCE = 1e-5  # largest difference of an answer from the network's own, float32 on both sides


def probabilities(network: "tf.keras.Model", images: "tf.Tensor") -> "tf.Tensor":
    """Softmax of a network's logits, in float32 whatever its arithmetic: what is handed on.

    Args:
      network: images -> (features [B, V], logits [B, C]).
      images: [B, S, S, 3], 0 to 255.

    Returns:
      [B, C] float32, rows sum to 1.
    """
    import tensorflow as tf  # Seconds, and not needed for the names above.

    _, logits = network(images, training=False)
    return tf.nn.softmax(tf.cast(logits, tf.float32))
