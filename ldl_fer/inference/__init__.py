"""Puts a trained network to use.

predict   label distributions of the faces in pictures and videos
serve     a page on this machine, and JSON for programs
export    SavedModel, TensorFlow Lite, ONNX
"""
