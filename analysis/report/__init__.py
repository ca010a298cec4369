"""The report: one self-contained HTML page; `python -m analysis.report`."""
