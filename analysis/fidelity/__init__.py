"""Fidelity: sizes, schedule, match and results against the paper."""
