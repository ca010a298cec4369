"""The mirror in Weights & Biases: logging, dashboards, uploads."""
