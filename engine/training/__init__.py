"""Where training examples come from, and the run around the model's training loop."""
