"""A benchmark of the degradation problem of He et al. 2015 (arXiv 1512.03385)."""

__version__ = "0.1.0"
