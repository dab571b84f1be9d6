"""The `PromptableSegmenter` that SAM is: official weights, or this project's own. Needs torch.

Nothing changes after construction: any number of threads may ask, any number of embeddings may be
alive. Images are fitted into the network's input exactly as the official predictor does it.

Shape suffixes: P prompts, Q of them with a mask worth drawing, M masks a prompt, N masks that
pass, C channels, H and W of image or logits, h and w of the embedding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from model.checkpoints import LoadedCheckpoint, load_checkpoint
from model.encoder_options import PLAIN_ENCODER, EncoderOptions
from model.geometry import Geometry
from model.network.mask_decoder import MULTIPLE_MASKS, SINGLE_MASK, Attended
from model.network.prompt_encoder import EMBEDDING_STRIDE
from model.prompts import Prompt
from model.sam_answers import Answers
from model.sam_embedding import SamEmbedding, features_from_bytes
from model.sam_prompts import PromptBatch, batches_of
from model.segmenter import Embedding, PromptableSegmenter, Proposals


class SamSegmenter:
    """Answers prompts with a SAM network.

    Args:
        checkpoint: weights and their id; the network is switched to evaluation.
        prompts_per_batch: prompts that go through the decoder together; 8 on a CPU and 64 on other
            devices if unset. More than 8 to 16 only take more memory on a CPU.
        encoder: how the image encoder computes.
    """

    def __init__(
        self,
        checkpoint: LoadedCheckpoint,
        *,
        prompts_per_batch: int | None = None,
        encoder: EncoderOptions = PLAIN_ENCODER,
    ) -> None:
        self._sam = checkpoint.sam.eval()
        self._precision = encoder.precision
        self._encoder: Callable[[Tensor], Tensor] = self._sam.image_encoder
        if encoder.compiled:
            self._encoder = torch.compile(self._sam.image_encoder)
        if prompts_per_batch is None:
            prompts_per_batch = 8 if self._sam.device.type == "cpu" else 64
        if prompts_per_batch < 1:
            raise ValueError(f"prompts_per_batch is {prompts_per_batch}, expected 1 or more")
        self._model_id = checkpoint.model_id
        self._prompts_per_batch = prompts_per_batch
        side = self.input_size // EMBEDDING_STRIDE
        self._embedding_hw = (side, side)
        with torch.inference_mode():
            dense_positions = self._sam.prompt_encoder.dense_positions(self._embedding_hw)
            self._positions = self._sam.mask_decoder.project_positions(dense_positions)
            self._constants = self._sam.mask_decoder.constants(self._positions)

    @classmethod
    def load(
        cls,
        path_or_name: str | os.PathLike[str],
        device: str | torch.device = "cpu",
        *,
        encoder: EncoderOptions = PLAIN_ENCODER,
    ) -> SamSegmenter:
        """Load a checkpoint by its path or name.

        Raises:
            CheckpointError: the file is missing, broken or foreign.
        """
        return cls(load_checkpoint(path_or_name, device), encoder=encoder)

    @property
    def model_id(self) -> str:
        """16 hex digits derived from the weights and nothing else."""
        return self._model_id

    @property
    def input_size(self) -> int:
        """Side in pixels of the square that images are fitted into."""
        return self._sam.input_size

    def embed(self, image_HWC: NDArray[np.uint8]) -> SamEmbedding:
        """Run the image encoder once on an upright RGB image (H, W, 3).

        Raises:
            ValueError: the array is not an 8-bit RGB image of at least one pixel.
        """
        return self.embed_several([image_HWC])[0]

    @torch.inference_mode()
    def embed_several(self, images: Sequence[NDArray[np.uint8]]) -> list[SamEmbedding]:
        """Run the image encoder once on one or more images, each as `embed` takes it.

        Raises:
            ValueError: one of them is none.
        """
        geometries = [self._geometry(image_HWC) for image_HWC in images]
        fitted_BCHW = torch.cat(
            [self._fit(image, geometry) for image, geometry in zip(images, geometries, strict=True)]
        )
        each_1Chw = torch.split(self._encode(fitted_BCHW), 1)
        return [
            self._embedding(features_1Chw, geometry)
            for features_1Chw, geometry in zip(each_1Chw, geometries, strict=True)
        ]

    @torch.inference_mode()
    def embedding_from_bytes(self, data: bytes) -> SamEmbedding:
        """Read what `SamEmbedding.to_bytes` wrote.

        Raises:
            ValueError: the bytes are damaged, or another model made them.
        """
        features, geometry = features_from_bytes(data, self._model_id)
        return self._embedding(torch.from_numpy(features).to(self._sam.device), geometry)

    @torch.inference_mode()
    def segment(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool,
        min_predicted_iou: float | None = None,
    ) -> Proposals:
        """Answer P prompts about one embedded image; see `PromptableSegmenter.segment`.

        Raises:
            ValueError: another model made the embedding, or a prompt's earlier logits have
                another size than the decoder's.
        """
        if not isinstance(embedding, SamEmbedding) or embedding.model_id != self._model_id:
            raise ValueError(
                f"the embedding was made by model {embedding.model_id}, this is {self._model_id}: "
                "embed the image again"
            )
        wanted = MULTIPLE_MASKS if multimask else SINGLE_MASK
        answers = Answers(len(prompts), wanted.stop - wanted.start, embedding.geometry)
        for batch in batches_of(
            prompts, embedding.geometry, self._sam.device, size=self._prompts_per_batch
        ):
            self._answer(embedding, batch, wanted, min_predicted_iou, answers)
        return answers.proposals()

    def _answer(
        self,
        embedding: SamEmbedding,
        batch: PromptBatch,
        wanted: slice,
        min_predicted_iou: float | None,
        answers: Answers,
    ) -> None:
        decoder = self._sam.mask_decoder
        attended = self._attend(embedding, batch)
        iou_PM = decoder.predict_iou(attended)[:, wanted]
        passes_PM = torch.ones_like(iou_PM, dtype=torch.bool)
        if min_predicted_iou is not None:
            passes_PM = iou_PM >= min_predicted_iou
        # The IoU head needs the tokens only: masks that fail are never drawn.
        logits_NHW = decoder.draw_chosen(
            attended, wanted, passes_PM, one_by_one=self._sam.device.type == "cpu"
        )
        answers.add(batch.rows, iou_PM, passes_PM, logits_NHW)

    def _attend(self, embedding: SamEmbedding, batch: PromptBatch) -> Attended:
        decoder = self._sam.mask_decoder
        sparse_PNC, dense = self._sam.prompt_encoder(
            batch.points_xy,
            batch.point_labels,
            batch.boxes_xyxy,
            batch.mask_logits,
            embedding_hw=self._embedding_hw,
        )
        if batch.mask_logits is None:
            return decoder.attend(embedding.prepared, sparse_PNC)
        # Earlier logits are added to the image, so the image is another for each prompt.
        own = decoder.prepare(embedding.features, self._positions, dense)
        return decoder.attend(own, sparse_PNC)

    def _geometry(self, image_HWC: NDArray[np.uint8]) -> Geometry:
        if image_HWC.dtype != np.uint8 or image_HWC.ndim != 3 or image_HWC.shape[2] != 3:
            raise ValueError(
                f"image is {image_HWC.dtype} of shape {image_HWC.shape}, expected uint8 (H, W, 3)"
            )
        height, width = image_HWC.shape[:2]
        return Geometry((height, width), self.input_size)

    def _encode(self, image_BCHW: Tensor) -> Tensor:
        """Embeddings (B, C, h, w), float32 whatever they were computed in."""
        if self._precision == "float32":
            return self._encoder(image_BCHW)
        with torch.autocast(self._sam.device.type, torch.bfloat16):
            return self._encoder(image_BCHW).float()

    def _fit(self, image_HWC: NDArray[np.uint8], geometry: Geometry) -> Tensor:
        """Resize (PIL's antialiased bilinear), normalise and zero-pad to (1, 3, S, S)."""
        height, width = geometry.scaled_hw
        scaled = Image.fromarray(image_HWC).resize((width, height), Image.Resampling.BILINEAR)
        image_CHW = torch.from_numpy(np.array(scaled)).to(self._sam.device).permute(2, 0, 1)
        normal = self._sam.normalise(image_CHW.unsqueeze(0))
        side = geometry.input_size
        return F.pad(normal, (0, side - width, 0, side - height))

    def _embedding(self, features_1Chw: Tensor, geometry: Geometry) -> SamEmbedding:
        _, no_mask = self._sam.prompt_encoder(
            None, None, None, None, embedding_hw=self._embedding_hw
        )
        prepared = self._sam.mask_decoder.share(features_1Chw, self._constants, no_mask)
        return SamEmbedding(features_1Chw, prepared, geometry, self._model_id)


if TYPE_CHECKING:
    _IS_A_SEGMENTER: type[PromptableSegmenter] = SamSegmenter


def load_segmenter(
    checkpoint: str,
    *,
    device: str = "cpu",
    threads: int | None = None,
    encoder: EncoderOptions = PLAIN_ENCODER,
) -> SamSegmenter:
    """Load a checkpoint in a worker process.

    Args:
        checkpoint: a name, or the path of a file.
        device: where the network runs.
        threads: of torch in the whole process; None leaves them as they are.
        encoder: how the image encoder computes.

    Raises:
        CheckpointError: the file is missing, broken or foreign.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return SamSegmenter.load(checkpoint, device, encoder=encoder)
