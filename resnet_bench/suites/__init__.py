"""Suites of experiments: networks and recipes, read from the TOML files in experiments/."""
