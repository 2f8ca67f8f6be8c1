"""From any picture to upright, centered faces: `python -m ldl_fer.faces`.

detector     where faces are: YuNet, or the cascade that OpenCV brings along
alignment    a face turned, scaled and cut out of its picture
picture      one picture of a data set
journal      several at once, so that an interrupted run can go on
data_set     all of them, with or without annotations
"""

from ldl_fer.faces.alignment import aligned
from ldl_fer.faces.data_set import Alignment, align_data_set
from ldl_fer.faces.detector import Face, FaceDetector

__all__ = ["Alignment", "Face", "FaceDetector", "align_data_set", "aligned"]
