"""Masks that other programs made, as a run: the way back from the formats in `exports`."""
