"""An annotator made of known masks: for tests, experiments, demos. Its records say what it is."""
