"""The identity witness in sentences and a figure."""
