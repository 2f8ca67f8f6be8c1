"""The paper: one pure function per equation of Le et al. (WACV 2023), in the paper's order.

| Eq. | function                  | quantity                                                   |
|-----|---------------------------|------------------------------------------------------------|
| 1   | classification_loss       | CE(d^i, f(x^i)), one value per sample                      |
| 2   | local_similarity          | s_k, closeness in the auxiliary space                      |
| 3   | calibration_score         | zeta_k, from the logit of g([v^i, v^k])                    |
| 4   | contribution_degree       | c_k = zeta_k s_k                                           |
| 5   | aggregated_distribution   | d~, the neighbors' predictions averaged by c_k             |
| 6   | target_distribution       | d, the label and d~ mixed by lambda                        |
| 7-9 | uncertainty_gradient      | dL/dlambda in closed form: what autodiff must agree with   |
| 10  | center_loss               | first term of L_D, one value per sample                    |
| 10  | center_separation         | second term of L_D, a scalar                               |
| 10  | center_pull               | how a batch pulls its class centers (Wen et al., 2016)     |
| 11  | total_loss                | L_cls + gamma L_D                                          |

No state, flags, layers or replicas here. Per-sample values come out; the model reduces them.
Letters: B batch, K neighbors, C classes, V feature size, D size of the auxiliary space (2 in the
paper: valence, arousal), M any number of rows.
Where the authors' released code computes something else, the difference is an argument, and
`ldl_fer.config.presets` says which preset uses which.
"""

import tensorflow as tf


def classification_loss(
    target_distribution: tf.Tensor, logits: tf.Tensor, epsilon: float = 0.0
) -> tf.Tensor:
    """Computes the cross-entropy of target and predicted distributions, per sample.  Eq. 1.

      L_i = -sum_j d_j log(f_j + epsilon),  f = softmax(logits)

    Args:
      target_distribution: [B, C], rows sum to 1.
      logits: [B, C]; with epsilon 0 the logarithm is taken of the logits directly, so that
        differences between them do not overflow.
      epsilon: 0 in the paper; the released code adds 1e-10.

    Returns:
      [B], at least the entropy of the target (up to epsilon).
    """
    tf.debugging.assert_shapes([(target_distribution, ("B", "C")), (logits, ("B", "C"))])
    if epsilon:
        log_probabilities = tf.math.log(tf.nn.softmax(logits) + epsilon)
    else:
        log_probabilities = tf.nn.log_softmax(logits)
    return -tf.reduce_sum(target_distribution * log_probabilities, axis=-1)


def local_similarity(
    auxiliary: tf.Tensor,
    neighbor_auxiliary: tf.Tensor,
    delta: float,
    kernel: str = "gaussian",
) -> tf.Tensor:
    """Computes the closeness of each neighbor in the auxiliary space.  Eq. 2.

      gaussian:  s_k = exp(-||a^i - a^k||_2^2 / delta^2)             the paper
      laplace:   s_k = exp(-sqrt(2 / D) ||a^i - a^k||_1 / delta)     the released code, D = 2

    A sum of D absolute differences grows as sqrt(D) beside the distance: the factor, ours, keeps
    delta's meaning.

    Args:
      auxiliary: [B, D], a^i: valence and arousal in [-1, 1], or of any other space.
      neighbor_auxiliary: [B, K, D], a^k.
      delta: width of the kernel, > 0, in units of the space.
      kernel: "gaussian" or "laplace".

    Returns:
      [B, K] in [0, 1]; 1 where the two points coincide.

    Raises:
      ValueError: for another kernel.
    """
    tf.debugging.assert_shapes([(auxiliary, ("B", "D")), (neighbor_auxiliary, ("B", "K", "D"))])
    difference = auxiliary[:, tf.newaxis] - neighbor_auxiliary
    if kernel == "gaussian":
        return tf.exp(-tf.reduce_sum(tf.square(difference), axis=-1) / delta**2)
    if kernel == "laplace":
        size = tf.cast(tf.shape(difference)[-1], difference.dtype)
        width = delta * tf.sqrt(size / 2.0)
        return tf.exp(-tf.reduce_sum(tf.abs(difference), axis=-1) / width)
    raise ValueError(f"kernel is 'gaussian' or 'laplace', not {kernel!r}")


def calibration_score(logit: tf.Tensor, floor: float | None = None) -> tf.Tensor:
    """Corrects the local similarity by the logit of g([v^i, v^k]).  Eq. 3.

      zeta_k = sigmoid(max(g([v^i, v^k]), floor))

    g itself is `ldl_fer.methods.layers.SimilarityCalibrator`.

    Args:
      logit: [B, K].
      floor: None in the paper; the released code floors the logit at -1.3 (zeta >= 0.214).

    Returns:
      [B, K] in [0, 1].
    """
    tf.debugging.assert_shapes([(logit, ("B", "K"))])
    return tf.sigmoid(logit if floor is None else tf.maximum(logit, floor))


def contribution_degree(calibration: tf.Tensor, similarity: tf.Tensor) -> tf.Tensor:
    """Weighs each neighbor.  Eq. 4.

      c_k = zeta_k s_k

    Args:
      calibration: [B, K] in [0, 1], zeta.
      similarity: [B, K] in [0, 1], s.

    Returns:
      [B, K] in [0, 1], never above either factor.
    """
    tf.debugging.assert_shapes([(calibration, ("B", "K")), (similarity, ("B", "K"))])
    return calibration * similarity


def aggregated_distribution(
    contribution: tf.Tensor, neighbor_probabilities: tf.Tensor, fallback: tf.Tensor
) -> tf.Tensor:
    """Averages the neighbors' predicted distributions by their contributions.  Eq. 5.

      d~ = sum_k c_k f(x^k) / sum_k c_k,  and the fallback where sum_k c_k = 0

    Args:
      contribution: [B, K], >= 0.
      neighbor_probabilities: [B, K, C], rows sum to 1.
      fallback: [B, C], rows sum to 1: the given label, for a sample that no neighbor informs.

    Returns:
      [B, C], rows sum to 1; a NaN in a row's contributions shows in the result.
    """
    tf.debugging.assert_shapes(
        [
            (contribution, ("B", "K")),
            (neighbor_probabilities, ("B", "K", "C")),
            (fallback, ("B", "C")),
        ]
    )
    total = tf.reduce_sum(contribution, axis=-1, keepdims=True)
    share = tf.math.divide_no_nan(contribution, total)
    average = tf.einsum("bk,bkc->bc", share, neighbor_probabilities)
    return tf.where(tf.equal(total, 0.0), fallback, average)


def target_distribution(
    label: tf.Tensor, aggregated: tf.Tensor, uncertainty: tf.Tensor
) -> tf.Tensor:
    """Mixes given label and neighborhood by the uncertainty, into what is learned.  Eq. 6.

      d = (1 - lambda^i) l^i + lambda^i d~

    Args:
      label: [B, C], one-hot in the paper, rows sum to 1.
      aggregated: [B, C], d~, rows sum to 1.
      uncertainty: [B] in [0, 1], lambda; 0 keeps the label.

    Returns:
      [B, C], rows sum to 1.
    """
    tf.debugging.assert_shapes(
        [(label, ("B", "C")), (aggregated, ("B", "C")), (uncertainty, ("B",))]
    )
    mix = uncertainty[:, tf.newaxis]
    return (1.0 - mix) * label + mix * aggregated


def uncertainty_gradient(
    label: tf.Tensor, aggregated: tf.Tensor, logits: tf.Tensor, epsilon: float = 0.0
) -> tf.Tensor:
    """Differentiates the classification loss by lambda, per sample.  Eq. 7-9.

      dL_i/dlambda^i = CE(d~, f) - CE(l, f)

    Positive where the network prefers the label (lambda falls), negative where it prefers the
    neighborhood (lambda rises). Training leaves this to autodiff; the tests hold the two together.

    Args:
      label: [B, C], rows sum to 1.
      aggregated: [B, C], rows sum to 1.
      logits: [B, C].
      epsilon: as `classification_loss` has it.

    Returns:
      [B].
    """
    neighborhood = classification_loss(aggregated, logits, epsilon)
    return neighborhood - classification_loss(label, logits, epsilon)


def center_loss(
    features: tf.Tensor,
    own_centers: tf.Tensor,
    weight: tf.Tensor,
    stop_weight_gradient: bool = True,
) -> tf.Tensor:
    """Pulls each sample toward the center of its class, per sample.  Eq. 10, first term.

      L_i = 1/2 (1 - lambda^i) ||v^i - mu_{y^i}||^2

    Args:
      features: [M, V].
      own_centers: [M, V], the center of each row's class.
      weight: [M] in [0, 1], 1 - lambda.
      stop_weight_gradient: whether no gradient reaches lambda through the weight, so that Eq. 7-9
        are all that moves it.

    Returns:
      [M], >= 0.
    """
    tf.debugging.assert_shapes(
        [(features, ("M", "V")), (own_centers, ("M", "V")), (weight, ("M",))]
    )
    distance = tf.reduce_sum(tf.math.squared_difference(features, own_centers), axis=-1)
    if stop_weight_gradient:
        weight = tf.stop_gradient(weight)
    return 0.5 * weight * distance


def center_separation(centers: tf.Tensor, kernel: str = "ordered_sqrt") -> tf.Tensor:
    """Pushes the class centers away from each other.  Eq. 10, second term.

      ordered_sqrt:  sum_{j != k} exp(-||mu_j - mu_k||^2 / sqrt(V))    the paper
      unordered:     sum_{j < k}  exp(-||mu_j - mu_k||^2 / V)          the released code

    Args:
      centers: [C, V].
      kernel: "ordered_sqrt" or "unordered".

    Returns:
      Scalar in [0, C (C - 1)] or [0, C (C - 1) / 2]; the upper end where all centers coincide.

    Raises:
      ValueError: for another kernel.
    """
    tf.debugging.assert_shapes([(centers, ("C", "V"))])
    size = tf.cast(tf.shape(centers)[1], centers.dtype)
    difference = centers[:, tf.newaxis] - centers[tf.newaxis]
    distance = tf.reduce_sum(tf.square(difference), axis=-1)
    if kernel == "ordered_sqrt":
        pairs = tf.exp(-distance / tf.sqrt(size))
        return tf.reduce_sum(pairs - tf.linalg.diag(tf.linalg.diag_part(pairs)))
    if kernel == "unordered":
        pairs = tf.exp(-distance / size)
        return tf.reduce_sum(pairs - tf.linalg.band_part(pairs, -1, 0))
    raise ValueError(f"kernel is 'ordered_sqrt' or 'unordered', not {kernel!r}")


def center_pull(
    features: tf.Tensor, own_centers: tf.Tensor, weight: tf.Tensor, labels: tf.Tensor, classes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums up a batch's pull on each class center.  Wen et al. (2016), Eq. 4.

      sums_c = sum_{i: y^i = c} -w^i (v^i - mu_c),  counts_c = |{i: y^i = c}|
      pull_c = sums_c / (counts_c + 1), the gradient that the center descends

    Sums and counts come out apart, since replicas must add up both before they divide.

    Args:
      features: [M, V].
      own_centers: [M, V], the center of each row's class.
      weight: [M] in [0, 1], 1 - lambda.
      labels: [M], integers in [0, C), or below 0 for a row that counts nowhere: the segment sums
        drop it.
      classes: C.

    Returns:
      sums [C, V], and counts [C] in the type of `weight`, which add up to the rows that count.
    """
    tf.debugging.assert_shapes(
        [(features, ("M", "V")), (own_centers, ("M", "V")), (weight, ("M",)), (labels, ("M",))]
    )
    pull = -weight[:, tf.newaxis] * (features - own_centers)
    sums = tf.math.unsorted_segment_sum(pull, labels, classes)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(weight), labels, classes)
    return sums, counts


def total_loss(classification: tf.Tensor, discriminative: tf.Tensor, gamma: float) -> tf.Tensor:
    """Adds both losses up to the objective.  Eq. 11.

      L = L_cls + gamma L_D

    Args:
      classification: L_cls, [B].
      discriminative: L_D, [B].
      gamma: weight, >= 0.

    Returns:
      [B].
    """
    tf.debugging.assert_shapes([(classification, ("B",)), (discriminative, ("B",))])
    return classification + gamma * discriminative
