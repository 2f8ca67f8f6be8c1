"""DMUE (She et al., CVPR 2021): a branch per class that says what else its faces could be.

  L      = up(e) (CE(l, softmax(r z)) + .5 L_soft + 1000 L_sp) + down(e) L_aux
  L_aux  = 1/C sum_c mean over y_i != c of CE(l_i, branch c)      branch c knows no class c
  L_soft = mean over i, j of (p'_ij - s_ij)^2      p' = p, 0 at y;  s: branch y's p^(1/1.2), 0 at y
  L_sp   = 1/C sum_c mean over entries of (G_c - G_T)^2           rows y_i != c
  r_i    = sigmoid(confidence of [a_i, l_i]),  a_ic: mean cosine with the batch's class c, in [0, 1]
  up, down = exp(-5 (1 - e/a)^2), 1  until epoch a, then 1, exp(-(1 - a/e)^2)

G_c and G_T are products of all pairs of rows, of branch c's logits and of the features, each row
divided by its norm. No gradient flows into s. At test the network alone is left: z without r.

A batch needs two samples of each class: `--sampling=balanced`. A branch or a class that a batch (of
several devices, a device's part) has no sample for is left out of it.

Deviations: the authors' branches are copies of the network's last stage; here each is a hidden
layer on the last features, with normalization over all rows of the batch. Their shared
normalization of branches and target is not in the network, so that it stays the plain one. They
mine s without dropout, in training mode; so it is here, and the branches' logits of L_sp are those.
The network's own last layer is as for all methods, with a bias; theirs has none. A batch is drawn
without replacement. Their released optimizer leaves the confidence as it was drawn:
`--nodmue_train_confidence`.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from ldl_fer import equations
from ldl_fer.methods.classifier import Batch, Classifier

_TEMPERATURE = 1.2
_DROPOUT, _DEVIATION = 0.5, 1e-3  # of the branches' hidden layers; of their last kernels


def ramps(epoch: tf.Tensor, turn: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns up(e) and down(e).

    Args:
      epoch: e, from 0 on.
      turn: a, > 0.
    """
    epoch = tf.cast(epoch, tf.float32)
    rising = tf.exp(-5.0 * tf.square(1.0 - epoch / turn))
    falling = tf.exp(-tf.square(1.0 - tf.math.divide_no_nan(turn, epoch)))
    return tf.where(epoch <= turn, rising, 1.0), tf.where(epoch < turn, 1.0, falling)


def mined_distribution(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Computes s of each sample: the sharpened answer of the branch of its class.

    Args:
      logits: [B, C - 1], of that branch.
      label: [B], integers in [0, C).

    Returns:
      [B, C], rows sum to 1, with a 0 at the label.
    """
    tf.debugging.assert_shapes([(logits, ("B", None)), (label, ("B",))])
    sharpened = tf.nn.softmax(logits / _TEMPERATURE)
    size = logits.shape[-1]
    places = tf.range(size + 1) - tf.cast(tf.range(size + 1) > label[:, tf.newaxis], tf.int32)
    inserted = tf.gather(sharpened, tf.minimum(places, size - 1), batch_dims=1)
    return inserted * (1.0 - tf.one_hot(label, size + 1, dtype=logits.dtype))


def soft_loss(logits: tf.Tensor, mined: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Computes mean_j (p'_j - s_j)^2.

    Args:
      logits: [B, C], z.
      mined: [B, C], s.
      label: [B, C], one-hot.

    Returns:
      [B], >= 0.
    """
    tf.debugging.assert_shapes([(logits, ("B", "C")), (mined, ("B", "C")), (label, ("B", "C"))])
    others = tf.nn.softmax(logits) * (1.0 - label)
    return tf.reduce_mean(tf.math.squared_difference(others, mined), axis=-1)


def gram_distance(first: tf.Tensor, second: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Computes the mean squared difference of two Gram matrices, each row divided by its norm.

    Args:
      first: [B, P].
      second: [B, Q].
      chosen: [B], 0 or 1: the rows that count.

    Returns:
      Scalar, >= 0; 0 where no row counts.
    """
    tf.debugging.assert_shapes([(first, ("B", "P")), (second, ("B", "Q")), (chosen, ("B",))])
    grams = []
    for values in (first, second):
        kept = values * chosen[:, tf.newaxis]
        grams.append(tf.math.l2_normalize(tf.matmul(kept, kept, transpose_b=True), axis=1))
    total = tf.reduce_sum(tf.math.squared_difference(*grams))
    return tf.math.divide_no_nan(total, tf.square(tf.reduce_sum(chosen)))


def class_similarities(features: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """Computes a: mean cosine of each sample with the batch's samples of a class, to [0, 1].

    Args:
      features: [B, V].
      label: [B, C], one-hot.

    Returns:
      [B, C]; the largest of a row is 1, the smallest 0; a class without samples counts as 0 before.
    """
    tf.debugging.assert_shapes([(features, ("B", "V")), (label, ("B", "C"))])
    directions = tf.math.l2_normalize(features, axis=1)
    cosines = tf.matmul(directions, directions, transpose_b=True)
    means = tf.math.divide_no_nan(tf.matmul(cosines, label), tf.reduce_sum(label, axis=0))
    least = tf.reduce_min(means, axis=1, keepdims=True)
    return tf.math.divide_no_nan(means - least, tf.reduce_max(means, axis=1, keepdims=True) - least)


class Branches(tf.keras.layers.Layer):
    """C branches: features [B, V] -> their logits [B, C, C - 1], with dropout and without."""

    def __init__(self, size: int, units: int, classes: int, seed: int, **kwargs: Any) -> None:
        """Makes the layer, with all its variables.

        Args:
          size: V.
          units: of each branch's hidden layer.
          classes: C.
          seed: of what is dropped.
          **kwargs: as for any Keras layer.
        """
        super().__init__(dtype="float32", **kwargs)
        layers = tf.keras.layers
        self.units, self.classes = units, classes
        self.hidden = layers.Dense(
            classes * units, use_bias=False, kernel_initializer="he_normal", name="hidden"
        )
        self.normalization = layers.BatchNormalization(epsilon=1e-5, name="normalization")
        self.dropout = layers.Dropout(_DROPOUT, seed=seed, force_generator=True, name="dropout")
        self.last = self.add_weight(
            "last",
            [classes, units, classes - 1],
            initializer=tf.keras.initializers.RandomNormal(stddev=_DEVIATION),
        )
        self(tf.zeros([2, size]))

    def call(self, features: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the logits with dropout, if in training, and without."""
        hidden = tf.nn.relu(self.normalization(self.hidden(features), training=training))
        hidden = tf.reshape(hidden, [-1, self.classes, self.units])
        dropped = self.dropout(hidden, training=training)
        return self._logits(dropped), self._logits(hidden)

    def _logits(self, hidden):
        return tf.einsum("bcu,cuk->bck", hidden, self.last)


class DMUERows(NamedTuple):
    """A step's values, a row per sample."""

    features: tf.Tensor  # [B, V]
    logits: tf.Tensor  # [B, C], z
    loss: tf.Tensor  # [B]
    classification_loss: tf.Tensor  # [B], of r z
    auxiliary_loss: tf.Tensor  # [B]; its mean is L_aux
    soft_loss: tf.Tensor  # [B]
    similarity_loss: tf.Tensor  # [B], L_sp of the batch in each row


class DMUE(Classifier):
    """Minimizes the network's losses and the branches'.

    Attributes:
      branches: one per class.
      confidence: [a, l] of 2 C numbers -> r.
    """

    LOSSES = DMUERows._fields[2:]
    compares_samples = True
    least_of_each_class = 2

    def add_parts(self) -> None:
        layers, classes = tf.keras.layers, self.num_classes
        settings = self.config.dmue
        self.branches = Branches(
            self.feature_size, settings.dmue_units, classes, self.config.run.seed, name="branches"
        )
        self.confidence = tf.keras.Sequential(
            [layers.Dense(classes), layers.PReLU(), layers.Dense(1, activation="sigmoid")],
            name="confidence",
        )
        self.confidence.build([None, 2 * classes])

    @property
    def optimized_variables(self) -> list[tf.Variable]:
        own = [self.branches]
        own += [self.confidence] if self.config.dmue.dmue_train_confidence else []
        return super().optimized_variables + [v for part in own for v in part.trainable_variables]

    def parts(self) -> dict[str, Any]:
        return super().parts() | {"branches": self.branches, "confidence": self.confidence}

    def losses(self, batch: Batch, neighbors: None) -> DMUERows:
        settings, labels = self.config.dmue, self.labels(batch)
        features, logits = self.run_network(batch["image"], training=True)
        dropped, branches = self.branches(features, training=True)
        similarities = class_similarities(features, labels)
        confidence = self.confidence(tf.concat([similarities, labels], axis=1))
        classification = self.cross_entropy(batch, labels, confidence * logits)
        of_own_class = tf.gather(branches, batch["label"], batch_dims=1)
        mined = tf.stop_gradient(mined_distribution(of_own_class, batch["label"]))
        soft = soft_loss(logits, mined, labels)
        distances = [
            gram_distance(branches[:, c], features, 1.0 - labels[:, c])
            for c in range(self.num_classes)
        ]
        similarity = tf.fill(tf.shape(soft), tf.reduce_mean(tf.stack(distances)))
        auxiliary = self._auxiliary_loss(batch["label"], labels, dropped)
        epoch = self.optimizer.iterations // self.steps_per_epoch
        up, down = ramps(epoch, settings.dmue_turn)
        mining = settings.dmue_soft_weight * soft + settings.dmue_similarity_weight * similarity
        loss = up * (classification + mining) + down * auxiliary
        return DMUERows(features, logits, loss, classification, auxiliary, soft, similarity)

    def _auxiliary_loss(self, label, labels, logits):
        """Rows whose mean is 1/C sum_c mean over y != c of CE(l, branch c)."""
        others = 1.0 - labels
        # Branch c counts the classes without c: those behind it are one number less.
        renumbered = label[:, tf.newaxis] - tf.cast(
            label[:, tf.newaxis] > tf.range(self.num_classes), tf.int32
        )
        targets = tf.one_hot(renumbered, self.num_classes - 1)
        each = equations.classification_loss(
            tf.reshape(targets, [-1, self.num_classes - 1]),
            tf.reshape(logits, [-1, self.num_classes - 1]),
        )
        each = others * tf.reshape(each, [-1, self.num_classes])
        shares = tf.math.divide_no_nan(
            tf.cast(tf.size(label), tf.float32), tf.reduce_sum(others, axis=0)
        )
        return tf.reduce_mean(each * shares, axis=1)
