"""Training of the object detector on masks of earlier rounds, or of other data sets."""
