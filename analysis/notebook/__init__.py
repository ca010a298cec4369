"""The live figure of runs in training, for a notebook: `analysis.live`."""
