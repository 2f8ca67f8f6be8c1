"""LTNet (Zeng et al., ECCV 2018, IPA2LT): one hidden truth, and how each annotator departs from it.

  q_ir = p_i^T T_r                    what annotator r says of face i; p the network's prediction
  L    = -log (q_ir)_{y_ir}

T_r, a row per hidden class and a column per label, starts as about the identity; after each step
its negative values become 1e-5 and its rows are divided by their sums. At test p is left. The
annotators are those of the CSV's column `annotator`; without it there is one, and one matrix.

Deviations: IPA2LT adds the predictions of networks trained on each data set as further annotators,
with smaller weights; here are the human ones, of equal weight. T moves by the network's optimizer.
Released code puts q through a second softmax; this is the paper's loss. Off the diagonal the
authors start from what is left of random numbers, here all are 1e-5 / 999.
"""

from typing import Any

import tensorflow as tf

from ldl_fer.methods.classifier import Batch, Classifier, Rows
from ldl_fer.methods.replicas import shared_variable

_FLOOR, _DIAGONAL = 1e-5, 999.0


def annotated_log_probability(
    logits: tf.Tensor, transition: tf.Tensor, label: tf.Tensor
) -> tf.Tensor:
    """Computes log (p^T T)_y, p = softmax(logits).

    Args:
      logits: [B, C].
      transition: [B, C, C], T of each label's annotator, rows sum to 1.
      label: [B, C], one-hot.

    Returns:
      [B], <= 0.
    """
    tf.debugging.assert_shapes(
        [(logits, ("B", "C")), (transition, ("B", "C", "C")), (label, ("B", "C"))]
    )
    said = tf.einsum("bij,bj->bi", transition, label)
    return tf.reduce_logsumexp(tf.nn.log_softmax(logits) + tf.math.log(said), axis=-1)


def projected(transition: tf.Tensor) -> tf.Tensor:
    """Returns matrices [R, C, C] with 1e-5 for what is not above 0, each row divided by its sum."""
    raised = tf.where(transition > 0.0, transition, _FLOOR)
    return raised / tf.reduce_sum(raised, axis=-1, keepdims=True)


class LTNet(Classifier):
    """Minimizes the cross-entropy of what each annotator would say.

    Attributes:
      transitions: [R, C, C], T.
    """

    reads_annotators = True

    def add_parts(self) -> None:
        count, size = int(self.annotators.max()) + 1, self.num_classes
        first = projected(tf.eye(size, batch_shape=[count]) * _DIAGONAL)
        self.annotator_of = tf.constant(self.annotators)
        start = tf.keras.initializers.Constant(first.numpy())
        self.transitions = shared_variable(
            self, "transitions", [count, size, size], start, trainable=True
        )

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        return [*super().optimized_variables, self.transitions]

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"transitions": self.transitions}

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        annotators = tf.gather(self.annotator_of, batch["sample_id"])
        transitions = tf.gather(self.transitions, annotators)
        loss = -annotated_log_probability(logits, transitions, self.labels(batch))
        loss *= tf.gather(self.class_weights, batch["label"])
        return Rows(features, logits, loss, loss)

    def after_step(
        self,
        batch: Batch,
        rows: Rows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
    ) -> None:
        """Projects the matrices, as before every pass of the authors'."""
        self.transitions.assign(projected(self.transitions))
