"""Frames: runs, layers and witnesses as pandas tables, checked and selected."""
