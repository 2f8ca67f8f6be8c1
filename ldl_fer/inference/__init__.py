"""A trained network at work: predictions on photos and videos, exports."""
