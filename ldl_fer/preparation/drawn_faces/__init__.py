"""Draws schematic faces whose true label distributions are known: `ldl-fer drawn_faces`.

latents    points in a space of expressions: classes, distributions, geometry of a face
drawing    a picture of a geometry
data_set   pictures and annotations of many faces
"""
