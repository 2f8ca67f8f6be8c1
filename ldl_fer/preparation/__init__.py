"""From a download to an annotation CSV that can be trained on."""
