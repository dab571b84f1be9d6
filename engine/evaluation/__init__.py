"""How good a model is: simulated clicks against known masks, baselines beside it, and pictures."""
