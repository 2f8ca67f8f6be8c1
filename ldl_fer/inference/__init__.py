"""Puts a trained network to use.

predict   label distributions of the faces in pictures and videos
export    SavedModel, TensorFlow Lite, ONNX
"""
