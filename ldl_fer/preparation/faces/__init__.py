"""Finds, turns upright and cuts out the faces in pictures: `ldl-fer faces`.

detector    finds faces: YuNet, or the cascade that OpenCV brings along
alignment   turns, scales and cuts out a face
picture     does so for a picture of a data set, and for many, with a journal to go on from
data_set    does so for all of a folder or of an annotation CSV
"""

TEMPLATE_SIZE = 112  # of an aligned face, pixels, as face recognition has it
WHICH = LARGEST, CENTRAL, ALL = ("largest", "central", "all")
ON_NO_FACE = SKIP, KEEP, FAIL = ("skip", "keep", "fail")
LONGEST_SIDE = 1280  # pixels that larger pictures are shrunk to for finding faces
MIN_SCORE = 0.6  # of YuNet's faces
FACES = DETECT, WHOLE = ("detect", "whole")  # found, or whole pictures that are faces already
