"""Writes the label audit: the doubtful labels of a training set, as a page for its owner.

training_set   reads the training set of a run: every row, every picture
suspicion      scores the doubt about each label
page           ranks the labels and writes the page and its columns; page/ has its HTML, CSS and
               JavaScript
hand_over      writes it for cleanlab, Label Studio, FiftyOne, Hugging Face
corrections    reads labels corrected in Label Studio and FiftyOne back
audit          the audit as an object: table, figure, page
command        `ldl-fer audit`
"""

COUNT, SIDE = 20_000, 80  # pictures of the page, at most, and their side in pixels
