"""Cures: the share of the degradation that each treatment removes, in words and figures."""
