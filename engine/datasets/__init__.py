"""Finished data sets: built from rounds, described, compared, and freed of single photos."""
