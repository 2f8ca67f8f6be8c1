"""Makes an annotation CSV that can be trained on, from a download or from your own pictures.

datasets      reads RAF-DB, AffectNet, FER+, class folders, imagefolder, Parquet and others
faces         finds, turns upright and cuts out the faces in pictures
affect        fills in valence and arousal: by a model, a trained regressor, class prototypes
doctor        looks for mistakes in a data set
noise         makes labels wrong on purpose
drawn_faces   draws faces whose true label distributions are known
"""
