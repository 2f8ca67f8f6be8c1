"""From annotation CSV to batches.

annotations, annotation_checks   the CSV, and what can be wrong in it
neighbors                        the K nearest samples in the valence-arousal plane
label_confusion                  how classes are labeled: by votes, or as a confusion matrix has it
holdout, sets                    training and validation set of a run
pictures                         files -> pixels
record_writer, records, shards   TFRecord shards: written, opened, read by index
manifest                         what a folder of shards holds
pooled_records                   pooled maps in place of pictures, for frozen backbones
batches, augmentation            one batch: read, decoded, changed at random
pipeline                         all batches in order, a function of (seed, step)
samples                          samples.csv of a run
paths                            files that flags name, looked for before TensorFlow is loaded
neighbors_command, records_command   `ldl-fer neighbors`, `ldl-fer records`
"""
