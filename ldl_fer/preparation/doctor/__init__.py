"""Looks for mistakes in a data set before a training on it: `ldl-fer doctor`.

split            an annotation CSV as it is, broken rows included
pictures         every picture, looked at once
class_counts     check: broken cells, rare classes, published counts
label_order      check: numbers that look like another data set's order
plane            check: valence and arousal, and neighbors by them
picture_checks   check: unreadable, tiny and blank pictures, duplicates
duplicates       pairs of pictures that are the same or look the same
photographs      whether pictures that look the same are versions of one photograph
examination      all checks in order
finding          the result of a check
report           findings as text and JSON
"""

TINY = 32  # pixels: a shorter side below it is tiny
CORRELATION = 0.95  # of near duplicates, at least
