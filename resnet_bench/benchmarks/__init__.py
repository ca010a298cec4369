"""Benchmarks of speed: the training beside the machine's limits and other loops."""
