"""How the stages scale: photo sources, plans, shard files, Beam pipelines, workers."""
