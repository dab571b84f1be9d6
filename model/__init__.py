"""What a promptable segmentation model is: prompts, geometry, network, checkpoints, training.

Importing this package (and the seam modules `prompts`, `geometry`, `segmenter`, `errors`)
never imports torch; the modules that need it say so.
"""

from model.errors import (
    CheckpointError,
    ConfigurationError,
    MaskEngineError,
    RecordError,
    ShardError,
    StopError,
)
from model.geometry import Geometry
from model.prompts import Prompt
from model.segmenter import Embedding, PromptableSegmenter, Proposals

__all__ = [
    "CheckpointError",
    "ConfigurationError",
    "Embedding",
    "Geometry",
    "MaskEngineError",
    "Prompt",
    "PromptableSegmenter",
    "Proposals",
    "RecordError",
    "ShardError",
    "StopError",
]
