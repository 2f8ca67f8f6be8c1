"""LDLVA: uncertainty-aware label distribution learning for facial expression recognition."""

import os

# TensorFlow's start-up notices would bury our own lines; set the variable to 0 to see them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"
