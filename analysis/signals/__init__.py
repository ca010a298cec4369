"""Figures of signals in the layers: figure 7, vanishing and shattered gradients."""
