"""The log of prompts: what was asked of the model, when, and which region came back."""
