"""The verdict: whether depth degrades, with intervals; `python -m analysis.verdict`."""
