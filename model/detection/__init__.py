"""The one-class "object" detector: its network, its files, its training. Needs torch."""
