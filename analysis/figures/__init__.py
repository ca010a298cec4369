"""Figures of errors: figure 6, degradation and the others."""
