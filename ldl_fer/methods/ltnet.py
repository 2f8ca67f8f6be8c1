"""LTNet (Zeng et al., ECCV 2018, IPA2LT): one hidden truth, and how each annotator departs from it.

  q_ir = p_i^T T_r                    what annotator r says of face i; p the network's prediction
  L    = sum_r w_r -log (q_ir)_{y_ir}       over the annotators that labeled the face

T_r, a row per hidden class and a column per label, starts as about the identity; after each step
its negative values become 1e-5 and its rows are divided by their sums. At test p is left. The
annotators are those of the CSV's column `annotator`; without it there is one, and one matrix.
In a first share of the epochs T rests, which is plain training: the authors begin with a network
that knows what it sees, before matrices may explain it away.
IPA2LT has machines as further annotators: networks of other runs, trained on each data set, each of
which labels all faces before the first step, as they are, not augmented.

Deviations: the mean is over the batch, so an annotator counts by the number of faces it labeled,
where the authors take a mean for each. w is 1 for people and one number for all machines; they have
3 for people, .5 and .1 for machines of two data sets. T moves by the network's optimizer.
Released code puts q through a second softmax; this is the paper's loss. Off the diagonal the
authors start from what is left of random numbers, here all are 1e-5 / 999.
"""

from typing import Any

import tensorflow as tf

from ldl_fer.config import Config
from ldl_fer.methods.classifier import Batch, Classifier, Rows
from ldl_fer.methods.replicas import shared_variable, write_rows

NOT_LABELED = -1
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
      transitions: [R + M, C, C], T; the machines' come last.
      machine_labels: [N, M], or NOT_LABELED; None without machines.
      plain_steps: steps before T moves.
    """

    reads_annotators = True

    @classmethod
    def teacher_runs(cls, config: Config) -> tuple[str, ...]:
        return config.ltnet.ltnet_machine_runs

    @classmethod
    def visits_first(cls, config: Config) -> bool:
        return bool(cls.teacher_runs(config))

    def add_parts(self) -> None:
        self.plain_steps = self.steps_of(self.config.ltnet.ltnet_plain_share)
        machines = len(self.teacher_runs(self.config))
        self.humans = int(self.annotators.max()) + 1
        count, size = self.humans + machines, self.num_classes
        first = projected(tf.eye(size, batch_shape=[count]) * _DIAGONAL)
        self.annotator_of = tf.constant(self.annotators)
        start = tf.keras.initializers.Constant(first.numpy())
        self.transitions = shared_variable(
            self, "transitions", [count, size, size], start, trainable=True
        )
        self.machine_labels = None
        if machines:
            shape, none = [self.num_samples, machines], tf.keras.initializers.Constant(NOT_LABELED)
            self.machine_labels = shared_variable(self, "machine_labels", shape, none, tf.int32)

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        return [*super().optimized_variables, self.transitions]

    def parts(self) -> dict[str, Any]:
        parts = super().parts() | {"transitions": self.transitions}
        if self.machine_labels is not None:
            parts["machine_labels"] = self.machine_labels
        return parts

    @tf.autograph.experimental.do_not_convert
    def visit(self, batch: Batch) -> None:
        """Has the machines label a batch's `image`."""
        said = [
            tf.argmax(self.run_teacher(number, batch["image"])[1], axis=-1, output_type=tf.int32)
            for number, _ in enumerate(self.teacher_runs(self.config))
        ]
        write_rows(batch["sample_id"], [(self.machine_labels, tf.stack(said, axis=1))])

    def losses(self, batch: Batch, neighbors: None) -> Rows:
        features, logits = self.run_network(batch["image"], training=True)
        annotators = tf.gather(self.annotator_of, batch["sample_id"])
        begun = self.optimizer.iterations >= self.plain_steps
        matrices = tf.where(begun, self.transitions, tf.stop_gradient(self.transitions))
        transitions = tf.gather(matrices, annotators)
        said = -annotated_log_probability(logits, transitions, self.labels(batch))
        machines = self._machine_loss(batch, logits, matrices[self.humans :])
        loss = said + self.config.ltnet.ltnet_machine_weight * machines
        weights = tf.gather(self.class_weights, batch["label"])
        return Rows(features, logits, weights * loss, weights * said)

    def _machine_loss(self, batch, logits, matrices):
        """Sum over machines of -log (q_ir)_{y_ir}, [B]; 0 without any."""
        if self.machine_labels is None:
            return 0.0
        labels = tf.gather(self.machine_labels, batch["sample_id"])
        total = 0.0
        for number, label in enumerate(tf.unstack(labels, axis=1)):
            transition = tf.repeat(matrices[number : number + 1], tf.shape(label)[0], axis=0)
            given = tf.one_hot(tf.maximum(label, 0), self.num_classes)
            log = annotated_log_probability(logits, transition, given)
            total -= tf.where(label == NOT_LABELED, 0.0, log)
        return total

    def after_step(
        self,
        batch: Batch,
        rows: Rows,
        row_gradients: list[tf.Tensor],
        applied: tf.Tensor | None = None,
        sums: tuple[tf.Tensor, ...] = (),
    ) -> None:
        """Projects the matrices, as before every pass of the authors'."""
        self.transitions.assign(projected(self.transitions))
