"""The semi-automatic stage: confident masks prefill tasks, people add the rest (paper, 4)."""
