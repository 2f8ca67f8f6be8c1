"""From annotation CSV to batches: neighbors, records, pipeline."""
