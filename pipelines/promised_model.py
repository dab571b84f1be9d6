"""Which model a run will use, known before any work: its id, its advice, and how to load it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from model.encoder_options import PLAIN_ENCODER, EncoderOptions
from model.segmenter import PromptableSegmenter
from pipelines.shard_work import SegmenterFactory


@dataclass(frozen=True)
class CheckpointSegmenter:
    """Loads a checkpoint where it is called: a factory that is cheap to send to a worker."""

    checkpoint: str
    device: str
    threads: int
    encoder: EncoderOptions = PLAIN_ENCODER

    def __call__(self) -> PromptableSegmenter:
        """The model, with its weights.

        Raises:
            CheckpointError: if the file is missing, broken or foreign.
        """
        from model.sam_segmenter import load_segmenter  # torch, which only workers need

        return load_segmenter(
            self.checkpoint, device=self.device, threads=self.threads, encoder=self.encoder
        )


@dataclass(frozen=True)
class PromisedModel:
    """A model by what is known of it without running it.

    Attributes:
        model_id: of its weights.
        recommended: thresholds by name, where its card has any.
    """

    model_id: str
    recommended: Mapping[str, float] | None = None


def promised_model(checkpoint: str, segmenter: SegmenterFactory | None) -> PromisedModel:
    """What is known of the model before it runs.

    Args:
        checkpoint: a name, or the path of a file.
        segmenter: a factory of the caller's own, which takes the checkpoint's place.

    Raises:
        CheckpointError: if the checkpoint is missing, broken or foreign.
    """
    if segmenter is not None:
        return PromisedModel(segmenter().model_id)
    from model.checkpoints import read_card

    card = read_card(checkpoint)
    advice = None if card.thresholds is None else dataclasses.asdict(card.thresholds)
    return PromisedModel(card.model_id, advice)
