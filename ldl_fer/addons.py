"""The only module that imports tensorflow-addons, which ended with TensorFlow 2.15.

Leaving tensorflow-addons means giving the names below another origin.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # The notice of its end of life, at every import.
    from tensorflow_addons.callbacks import TQDMProgressBar

__all__ = ["TQDMProgressBar"]
