"""Measures how good a network is, and finds labels that are wrong.

evaluate              predictions and metrics of a network on a data set
metrics               the metrics, functions of NumPy arrays
result                result.json, the table and the confusion matrix of an evaluation
temperature           calibrates the confidence of a run's network
trained_model         loads a run or an export as a function of images
audit                 the page of doubtful labels
figures               the paper's Figures 3 to 6
command               `ldl-fer evaluate`
temperature_command   `ldl-fer temperature`
"""
