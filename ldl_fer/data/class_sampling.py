"""Over-sampling of rare classes: which samples make a step's batch, by (seed, step) alone.

  natural       each sample once an epoch (`pipeline.sample_ids_of_step`)
  balanced      as many of each class
  progressive   from the one to the other:  P_c(e) = (1 - e/E) n_c / N + (e/E) / C,  e = 0 .. E - 1

An epoch has as many steps as a natural one. A batch has floor or ceil of B P_c(e) samples of class
c, B P_c(e) on average (systematic sampling); they are drawn for each batch anew, none twice.
Published code draws each sample of a batch by itself, with replacement. `progressive` is that of
Kang et al. (ICLR 2020).
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ldl_fer.config import Config


def class_shares(counts: Sequence[int], sampling: str, epochs: int) -> np.ndarray:
    """Returns P_c(e) as whole numbers: each row's, divided by their sum.

    Args:
      counts: [C], samples of each class; one without any gets nothing.
      sampling: balanced or progressive.
      epochs: E.

    Returns:
      int64 [E, C]; for balanced, [1, C], of all epochs.
    """
    known = np.asarray(counts, np.int64)
    present = (known > 0).astype(np.int64)
    if sampling == "balanced":
        return present[np.newaxis]
    epoch = np.arange(epochs)[:, np.newaxis]
    return (epochs - epoch) * known * present.sum() + epoch * present * known.sum()


def most_of_each_class(config: Config, counts: Sequence[int]) -> np.ndarray:
    """Returns the most samples of each class that a batch may hold, [C]; not for natural."""
    shares = class_shares(counts, config.data.sampling, config.optimizer.epochs)
    size, total = config.optimizer.batch_size, shares[0].sum()
    return -(-size * shares.max(axis=0) // total)


class ClassSampler:
    """Draws the batches of a balanced or progressive training.

    It is the same on all replicas and machines, and from whatever step on.
    """

    def __init__(self, labels: np.ndarray, classes: int, config: Config, steps: int) -> None:
        """Takes the training set's labels.

        Args:
          labels: [N] in [0, C).
          classes: C.
          config: sampling, batch size, epochs and seed are read from it; no batch may hold more
            of a class than there are (`most_of_each_class`).
          steps: of an epoch.
        """
        counts = np.bincount(labels, minlength=classes)
        shares = class_shares(counts.tolist(), config.data.sampling, config.optimizer.epochs)
        self.steps, self.size, self.seed = steps, config.optimizer.batch_size, config.run.seed
        self.total = int(shares[0].sum())
        self.ends = np.cumsum(shares, axis=1) * self.size
        self.counts, self.firsts = counts, np.cumsum(counts) - counts
        self.by_class = np.argsort(labels, kind="stable").astype(np.int32)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the sample_ids [B] int32 of a step, in random order.

        Args:
          step: int64, number of steps before it.
        """
        seeds = tf.random.experimental.stateless_fold_in([self.seed, 2], step)
        seeds = tf.random.experimental.stateless_split(seeds, 4)
        epoch = tf.minimum(step // self.steps, len(self.ends) - 1)
        places = tf.range(self.size, dtype=tf.int64)
        # Points at equal distances, from a random one on: a class gets those in its stretch.
        offset = tf.random.stateless_uniform([], seeds[0], 0, self.total, tf.int64)
        points = places * self.total + offset
        ends = tf.gather(self.ends, epoch)
        classes = tf.searchsorted(ends, points, side="right", out_type=tf.int64)
        ranks = places - tf.searchsorted(classes, classes, out_type=tf.int64)
        # The same shuffle in each class, but from another place on.
        starts = tf.random.stateless_uniform(self.counts.shape, seeds[1], 0, 2**40, tf.int64)
        count = tf.gather(self.counts, classes)
        drawn = tf.random.experimental.index_shuffle(ranks, seeds[2], max_index=count - 1)
        drawn = (drawn + tf.gather(starts, classes)) % count
        ids = tf.gather(self.by_class, tf.gather(self.firsts, classes) + drawn)
        order = tf.random.experimental.index_shuffle(places, seeds[3], max_index=self.size - 1)
        return tf.gather(ids, order)
