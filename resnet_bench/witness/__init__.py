"""The identity witness: a deeper network that computes what a trained one does (section 1)."""
