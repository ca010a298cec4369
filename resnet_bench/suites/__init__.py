"""Suites: what is trained and how, read from the TOML files in experiments/."""
