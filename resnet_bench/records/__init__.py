"""A run's files: run.json, epochs.csv, layers.csv, summary.json."""
