"""How an image encoder computes, where the plain way is not wanted. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class EncoderOptions:
    """Meant for GPUs; the mask decoder is not touched.

    Attributes:
        precision: of the encoder's products. bfloat16 is safe here, where sums are long and
            norms follow; the decoder's shared image is differences of large numbers.
        compiled: by `torch.compile`, which takes a minute at the first photo and a C++ compiler.
    """

    precision: Precision = "float32"
    compiled: bool = False


PLAIN_ENCODER: Final = EncoderOptions()
