"""Predicts label distributions of the faces in pictures and videos.

sources     finds pictures and videos, and yields their frames
predictor   faces of a picture -> their predictions, one by one or as a stream
stream      threads that read and detect ahead, batches of faces of several pictures
face        the prediction for one face, and whether it is ambiguous
records     a prediction as an object of JSON, as rows of a table
outputs     JSON lines, CSV and annotated pictures of many sources
drawing     draws predictions on a picture
command     `ldl-fer predict`
"""
