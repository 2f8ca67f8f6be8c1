"""A mean teacher (Tarvainen and Valpola, NeurIPS 2017): the running mean of a network teaches it.

  theta' <- d theta' + (1 - d) theta,   d = min(1 - 1 / (t + 1), 0.999) after step t, from 0 on

The teacher theta' is what is evaluated and kept, so it is the model's network; its student theta, a
copy in the beginning, is what the optimizer moves. Statistics of batch normalization are averaged
with the weights.
"""

from typing import Any

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier
from ldl_fer.methods.replicas import assign_everywhere

_LARGEST_DECAY = 0.999


def teacher_decay(step: tf.Tensor) -> tf.Tensor:
    """Returns d = min(1 - 1 / (t + 1), 0.999), float32, of a step t, counted from 0."""
    return tf.minimum(1.0 - 1.0 / (tf.cast(step, tf.float32) + 1.0), _LARGEST_DECAY)


class MeanTeacher(Classifier):
    """Trains a student; `trained`, a part of `network`, is its teacher.

    Attributes:
      student: of the same layers as `trained`.
    """

    def add_parts(self) -> None:
        self.student = tf.keras.models.clone_model(self.trained)
        self.student.set_weights(self.trained.get_weights())
        self.run_network = self.runner(self.student)

    @property
    def learner(self) -> tf.keras.Model:
        return self.student

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"student": self.student}

    def taught(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the teacher's distributions, in evaluation mode, without a gradient: [B, C]."""
        _, logits = self.trained(images, training=False)
        return tf.stop_gradient(tf.nn.softmax(logits))

    def after_step(
        self,
        batch: Batch,
        rows: Any,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Moves the teacher."""
        decay = teacher_decay(self.optimizer.iterations - 1)
        if applied is not None:
            decay = tf.where(applied, decay, 1.0)
        pairs = zip(self.trained.weights, self.student.weights, strict=True)
        assign_everywhere([(mean, mean + (1.0 - decay) * (own - mean)) for mean, own in pairs])
