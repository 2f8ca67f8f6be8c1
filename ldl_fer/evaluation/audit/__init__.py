"""The label audit: which labels of a training set are doubtful, as a page for its owner."""
