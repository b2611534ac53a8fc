"""Measurements, side by side with what else does the same work: `python -m bench`."""
