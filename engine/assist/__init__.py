"""The assisted-manual stage: people click, the model answers, people correct (paper, section 4)."""
