"""One training from settings to run folder: build, fit, save, resume."""
