"""The click backend: prompts come in from the labelling page, masks go back at once."""
