"""One thread answers prompts and one embeds photos, whatever thread asks.

Networks compute on a team of threads that belongs to whoever calls. Called from dozens of request
threads they would have dozens of teams fighting for the same cores; called from one thread, an
answer has all cores to itself and the next one waits its few milliseconds. Embedding has a thread
of its own, so that nobody's click waits for somebody else's photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from model.prompts import Prompt
from model.segmenter import Embedding, PromptableSegmenter, Proposals


class SegmenterOnTwoThreads:
    """A `PromptableSegmenter` whose work is done on two threads of its own."""

    def __init__(self, segmenter: PromptableSegmenter) -> None:
        self._segmenter = segmenter
        self._answers = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._embeds = ThreadPoolExecutor(1, thread_name_prefix="embeds")

    @property
    def model_id(self) -> str:
        """Of the model."""
        return self._segmenter.model_id

    @property
    def input_size(self) -> int:
        """Of the model."""
        return self._segmenter.input_size

    def embed(self, image_HWC: NDArray[np.uint8]) -> Embedding:
        """As `PromptableSegmenter.embed`, one photo at a time."""
        return self._embeds.submit(self._segmenter.embed, image_HWC).result()

    def embedding_from_bytes(self, data: bytes) -> Embedding:
        """As `PromptableSegmenter.embedding_from_bytes`."""
        return self._answers.submit(self._segmenter.embedding_from_bytes, data).result()

    def segment(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool,
        min_predicted_iou: float | None = None,
    ) -> Proposals:
        """As `PromptableSegmenter.segment`, one question at a time."""
        return self._answers.submit(
            self._segmenter.segment,
            embedding,
            prompts,
            multimask=multimask,
            min_predicted_iou=min_predicted_iou,
        ).result()
