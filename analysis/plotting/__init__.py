"""Plotting: the style, layout and axes that figures share."""
