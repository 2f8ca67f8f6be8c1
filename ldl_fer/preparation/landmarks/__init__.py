"""Finds landmarks of faces, or takes those that a data set has: `ldl-fer landmarks`.

The table that it writes, beside the annotation CSV, is `data.landmarks`'.

face_mesh   MediaPipe's network of 468 points, from its .tflite file
pictures    the landmarks of many pictures, in threads; an interrupted run goes on
existing    landmarks as RAF-DB and AffectNet have them
"""
