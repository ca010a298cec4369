"""Weights & Biases: logging, dashboards, uploads."""
