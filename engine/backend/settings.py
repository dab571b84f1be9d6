"""What the click backend needs, as a user states it; descriptions are the command line's help."""

from __future__ import annotations

import ipaddress
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from stages.photos import PhotoLimits

DEFAULT_PORT: Final = 9090
_GIB: Final = 2**30


class BackendSettings(BaseModel):
    """A complete click backend."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    source: str | None = Field(
        default=None,
        description="The project's photos: a folder, a glob, a .txt file of addresses, or a URL.",
    )
    source_name: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the source, part of every id; the last part of its address if unset.",
    )
    allow: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="More places whose photos may be read: folders, s3://..., https://...",
    )
    checkpoint: str = Field(
        default="starter", description="The model: a name, or the path of a checkpoint file."
    )
    store: str | None = Field(
        default=None, description="Embeddings made ahead (mask-engine embed), and kept here."
    )
    store_gib: float | None = Field(
        default=20.0, gt=0, description="Most room the store may take, in GiB; null for no limit."
    )
    memory_gib: float = Field(
        default=1.0, gt=0, description="Most memory for embeddings in use, in GiB."
    )
    click_log: str = Field(
        default="clicks", min_length=1, description="Folder of the log of prompts."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen at.")
    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535, description="Port; 0 for a free one.")
    credentials: str | None = Field(
        default=None, description="File of user name and password; made if it is not there."
    )
    max_body_mib: int = Field(default=64, ge=1, le=1024, description="Longest request, in MiB.")
    threads: int | None = Field(
        default=None, ge=1, description="Threads of the model; the cores if unset."
    )
    device: str = Field(default="cpu", description="Where the model runs: cpu, cuda or mps.")
    limits: PhotoLimits = Field(
        default_factory=PhotoLimits, description="What a photo may cost before it is refused."
    )

    @property
    def store_bytes(self) -> int | None:
        """Most bytes of the store."""
        return None if self.store_gib is None else int(self.store_gib * _GIB)

    @property
    def memory_bytes(self) -> int:
        """Most bytes of embeddings in memory."""
        return int(self.memory_gib * _GIB)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
