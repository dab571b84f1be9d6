"""One training batch: simulated annotators click for several rounds on every mask (paper, app. A).

The image encoder runs once; each round's gradient is collected on the embedding, so that memory
holds one round at a time whatever the number of rounds.

Shape suffixes: B pictures, P = B * M prompts, K clicks so far, h and w of the low-resolution
logits, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from model.network.prompt_encoder import EMBEDDING_STRIDE
from model.network.sam import Sam
from model.training.annotators import Annotators
from model.training.edge_head import EdgeHead
from model.training.embedding_cache import EmbeddingCache
from model.training.examples import TrainingBatch
from model.training.losses import MaskLossParameters, edge_loss, mask_losses, true_iou
from model.training.place import Place

SINGLE = 0
FIRST_OF_THREE = 1


class RoundParameters(BaseModel):
    """How annotators are simulated and what is asked of the answers."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    round_shares: tuple[float, ...] = Field(
        default=(0.4, 0.35, 0.25),
        strict=False,
        description="how often a batch gets 1, 2, ... rounds",
    )
    box_share: float = Field(
        default=0.5, ge=0, le=1, description="how often the first prompt is a box, not a point"
    )
    given_mask_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how often annotators begin by correcting a mask that is nearly right",
    )
    innermost_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="how often a later click is the error's innermost point, not a random one",
    )
    rounds_without_click: int = Field(
        default=0,
        ge=0,
        description="rounds that only feed the logits back (paper: 2): the last one, the others at "
        "random places before it",
    )
    single_on_first_point: float = Field(
        default=0.25, ge=0, description="weight of the single mask where one point is ambiguous"
    )
    iou_weight: float = Field(default=1.0, ge=0, description="weight of the IoU head's error")
    edge_weight: float = Field(
        default=0.3, ge=0, description="weight of outlines drawn from the embedding; 0: none"
    )
    logits_upsampling: Literal[1, 2, 4] = Field(
        default=2,
        description="the loss is taken on logits enlarged by this factor; 4: as the picture",
    )
    frame_px: int = Field(
        default=0,
        ge=0,
        multiple_of=EMBEDDING_STRIDE,
        description="side of the model's input, where training pictures are smaller: each is a "
        "window of it, so that positions mean what they will mean there; 0: an input of its own",
    )


@dataclass(frozen=True)
class BatchFigures:
    """What one batch said, for the log: means over its prompts."""

    loss: float
    edge_loss: float
    iou_first_round: float
    iou_last_round: float
    iou_error: float
    rounds: int


class SimulatedRounds:
    """Runs batches forward and backward; gradients add up in the network.

    Args:
        sam: the network that is trained.
        edge_head: draws outlines from the embedding, or None.
        parameters: how annotators are simulated.
        cache: folder for the embeddings of a frozen image encoder, or None.
    """

    def __init__(
        self,
        sam: Sam,
        edge_head: EdgeHead | None,
        parameters: RoundParameters,
        cache: Path | None = None,
    ) -> None:
        self._sam = sam
        self._cache = EmbeddingCache(cache, self._encode) if cache else None
        self._edge_head = edge_head
        self._parameters = parameters

    def run(
        self,
        batch: TrainingBatch,
        loss: MaskLossParameters,
        rng: np.random.Generator,
        scale: float = 1.0,
    ) -> BatchFigures:
        """Forward and backward of all rounds of one batch.

        Args:
            batch: examples of one size.
            loss: the mask loss of this step.
            rng: the annotators' choices.
            scale: factor on all gradients, for accumulation.
        """
        embedding = self.embed(batch)
        edges = self._edges(embedding, batch)
        collected = embedding.detach().requires_grad_(embedding.requires_grad)
        figures, rounds = self._rounds(collected, batch, loss, rng, scale)
        if collected.grad is not None:
            total = (embedding * collected.grad).sum()
            total = total + edges * (scale * self._parameters.edge_weight)
            total.backward()  # type: ignore[no-untyped-call]
        losses, ious, errors = zip(*figures, strict=True)
        return BatchFigures(
            loss=float(np.mean(losses)),
            edge_loss=float(edges.detach()),
            iou_first_round=ious[0],
            iou_last_round=ious[-1],
            iou_error=float(np.mean(errors)),
            rounds=rounds,
        )

    def embed(self, batch: TrainingBatch) -> Tensor:
        """Pictures to embeddings (B, C, h, w), from the cache where there is one."""
        if self._cache is not None:
            return self._cache.embed(batch.image_BSSC).to(self._sam.device)
        return self._encode(batch.image_BSSC)

    def _encode(self, image_BSSC: NDArray[np.uint8]) -> Tensor:
        device = self._sam.device
        image_B3SS = torch.from_numpy(image_BSSC).to(device).permute(0, 3, 1, 2).float()
        embedding: Tensor = self._sam.image_encoder(self._sam.normalise(image_B3SS))
        return embedding

    def _edges(self, embedding: Tensor, batch: TrainingBatch) -> Tensor:
        if self._edge_head is None or not self._parameters.edge_weight:
            return embedding.new_zeros(())
        edges_B1SS = torch.from_numpy(batch.edges_BSS).to(embedding.device).unsqueeze(1)
        known = F.max_pool2d((edges_B1SS == 255).float(), 4).squeeze(1) == 0
        edges = F.max_pool2d((edges_B1SS == 1).float(), 4).squeeze(1)
        return edge_loss(self._edge_head(embedding), edges, known.float(), weight=2.0)

    def _rounds(
        self,
        embedding: Tensor,
        batch: TrainingBatch,
        loss: MaskLossParameters,
        rng: np.random.Generator,
        scale: float,
    ) -> tuple[list[tuple[float, float, float]], int]:
        parameters = self._parameters
        shares = np.asarray(parameters.round_shares)
        rounds = 1 + int(rng.choice(len(shares), p=shares / shares.sum()))
        starts_with_box = rng.random() < parameters.box_share
        annotators = Annotators.begin(
            batch, embedding, starts_with_box, parameters.logits_upsampling
        )
        # Drawn only where there is a choice: other runs' annotators go on choosing as they did.
        corrects = parameters.given_mask_share and rng.random() < parameters.given_mask_share
        if corrects:
            annotators = annotators.given_masks(embedding, rng, parameters.innermost_share)
        place = Place.drawn(embedding, parameters.frame_px, rng)
        without_click = _rounds_without_click(rounds, parameters.rounds_without_click, rng)
        figures = []
        for number in range(rounds):
            logits, iou_P4 = self._answer(embedding, annotators, place)
            is_ambiguous = number == 0 and not starts_with_box and not corrects
            value, true_P4 = self._loss(logits, iou_P4, annotators, loss, is_ambiguous)
            (value * scale).backward()  # type: ignore[no-untyped-call]
            best_P = _best_mask(iou_P4.detach(), is_ambiguous)
            iou_of_best = true_P4.gather(1, best_P[:, None]).squeeze(1)[annotators.is_object_P]
            error = (iou_P4.detach() - true_P4)[:, FIRST_OF_THREE:].abs().mean()
            figures.append((float(value.detach()), float(iou_of_best.mean()), float(error)))
            if number + 1 < rounds:
                click = number + 1 not in without_click
                annotators = annotators.after(
                    logits.detach(), best_P, rng, parameters.innermost_share, click=click
                )
        return figures, rounds

    def _answer(
        self, embedding: Tensor, annotators: Annotators, place: Place
    ) -> tuple[Tensor, Tensor]:
        """All four masks at the loss's resolution, and their predicted IoU."""
        sparse, dense = self._sam.prompt_encoder(
            place.moved(annotators.points_PK2),
            annotators.labels_PK,
            place.moved(annotators.boxes_P4),
            annotators.logits_P1hw,
            embedding_hw=place.frame_hw,
        )
        # Without logits of a round before, the dense embedding is the same in every cell.
        dense = dense[..., : embedding.shape[2], : embedding.shape[3]]
        positions = place.cut(self._sam.prompt_encoder.dense_positions(place.frame_hw))
        masks = len(annotators.is_object_P) // len(embedding)
        repeated = embedding.repeat_interleave(masks, dim=0)
        logits, iou_P4 = self._sam.mask_decoder(repeated, positions, sparse, dense)
        return logits, iou_P4

    def _loss(
        self,
        logits_P4hw: Tensor,
        iou_P4: Tensor,
        annotators: Annotators,
        parameters: MaskLossParameters,
        is_ambiguous: bool,
    ) -> tuple[Tensor, Tensor]:
        """Mean loss of the round, and the true IoU of every mask (P, 4)."""
        enlarged = F.interpolate(
            logits_P4hw,
            scale_factor=float(self._parameters.logits_upsampling),
            mode="bilinear",
            align_corners=False,
        )
        losses_P4 = mask_losses(enlarged, annotators.target_Phw, parameters)
        single_weight = self._parameters.single_on_first_point if is_ambiguous else 1.0
        # Only the best of the three is taught: the others stay free to mean something else.
        per_prompt_P = losses_P4[:, FIRST_OF_THREE:].min(1).values
        per_prompt_P = per_prompt_P + single_weight * losses_P4[:, SINGLE]
        object_P = annotators.is_object_P.float()
        mask_loss = (per_prompt_P * object_P).sum() / object_P.sum().clamp(min=1)
        true_P4 = true_iou(enlarged, annotators.target_Phw) * object_P[:, None]
        iou_loss = F.mse_loss(iou_P4, true_P4)
        return mask_loss + self._parameters.iou_weight * iou_loss, true_P4


def _rounds_without_click(rounds: int, wanted: int, rng: np.random.Generator) -> set[int]:
    """Which rounds, from 0, bring no new click: never the first; the last, and others before it."""
    if not wanted or rounds == 1:
        return set()
    earlier = min(wanted - 1, rounds - 2)
    # Drawn only where there is a choice: other runs' annotators go on choosing as they did.
    if not earlier:
        return {rounds - 1}
    return {rounds - 1, *rng.choice(np.arange(1, rounds - 1), earlier, replace=False).tolist()}


def _best_mask(iou_P4: Tensor, is_ambiguous: bool) -> Tensor:
    """Which mask an annotator would go on from: the best of three, or the single one."""
    if is_ambiguous:
        return iou_P4[:, FIRST_OF_THREE:].argmax(1) + FIRST_OF_THREE
    return torch.full((len(iou_P4),), SINGLE, device=iou_P4.device)
