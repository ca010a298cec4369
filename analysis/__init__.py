"""Figures, tables and verdict from the CSVs that runs leave behind; reads results, never torch.

In a notebook: `from analysis import load; frame = load.runs("results/digits")`.
"""
