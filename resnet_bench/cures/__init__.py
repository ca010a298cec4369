"""Cures: treatments of degradation, each a file in experiments/cures/, loaded and checked."""
