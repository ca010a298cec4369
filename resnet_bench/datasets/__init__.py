"""Data sets: definitions with digests, and the ways to get and read them."""
