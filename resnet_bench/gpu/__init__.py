"""The training step on a GPU: CUDA graphs, many networks side by side."""
