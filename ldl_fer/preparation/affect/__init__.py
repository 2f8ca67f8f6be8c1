"""Fills in valence and arousal of faces that have none: `ldl-fer affect`.

Such a value is a pseudo label: a model's estimate, not a rating by humans.

partial_annotations   a CSV in which valence and arousal may be missing
filling               a model's values for its rows, and warnings about them
model                 models from files: ONNX, Keras, SavedModel
model_spec            how such a model is fed and read
human_values          where people put the classes, and whether values are shifted from there
prototypes            class probabilities read as valence and arousal
regressor             a network trained for it
regression_sets       the sets that it learns from and is measured on
concordance           CCC as loss and metric of that training
agreement             CCC, Pearson, RMSE and equal signs with bootstrap intervals
course                whether more epochs or more faces would have helped
"""

BATCH_SIZE = 64  # pictures per call of a model
