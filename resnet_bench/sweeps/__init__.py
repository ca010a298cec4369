"""Sweeps: which run is trained where, its files, its progress."""
