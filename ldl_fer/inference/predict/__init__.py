"""Predicts label distributions of the faces in pictures and videos.

sources     finds pictures and videos, and yields their frames
predictor   faces of a picture -> their predictions, one by one or as a stream
face        the prediction for one face, and whether it is ambiguous
outputs     JSON lines, CSV and annotated pictures of many sources
drawing     draws predictions on a picture
command     `ldl-fer predict`
"""
