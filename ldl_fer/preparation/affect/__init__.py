"""Valence and arousal for faces that have none: a model's, a trained regressor's, or prototypes'.

A value of this kind is a pseudo label: what a model says, not what raters said.
"""

BATCH_SIZE = 64  # pictures per call of a model
