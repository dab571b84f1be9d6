"""The verify step: one mask at a time, keyboard only; accept it, reject it, or send it back."""
