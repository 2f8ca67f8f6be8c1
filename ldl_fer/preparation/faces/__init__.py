"""Finds, turns upright and cuts out the faces in pictures: `ldl-fer faces`.

detector    finds faces: YuNet, or the cascade that OpenCV brings along
detector_flags   the flags of it
boxes       reads the boxes of labeled faces, and finds the face at a box
alignment   turns, scales and cuts out a face
picture     does so for a picture of a data set, and for many, with a journal to go on from
data_set    does so for all of a folder or of an annotation CSV
"""

TEMPLATE_SIZE = 112  # of an aligned face, pixels, as face recognition has it
ON_NO_FACE = SKIP, KEEP, FAIL = ("skip", "keep", "fail")
SEVERAL = LARGEST, CENTRAL, _, ALL = ("largest", "central", SKIP, "all")  # where no box says which
NO_FACE = "no face found"  # why a picture was not aligned
AT_BOX, BOX_ITSELF, ONLY = ("at the box", "the box", "only")  # how else a face was chosen
LONGEST_SIDE = 1280  # pixels that larger pictures are shrunk to for finding faces
MIN_SCORE = 0.6  # of YuNet's faces
FACES = DETECT, WHOLE = ("detect", "whole")  # found, or whole pictures that are faces already
