"""What the page needs, as a user states it; descriptions are the command line's help."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from engine.backend.settings import BackendSettings

DEFAULT_PORT: Final = 8765


class PageSettings(BaseModel):
    """Where the page is served, and with which model."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    checkpoint: str = Field(
        default="starter", description="The model: a name, or the path of a checkpoint file."
    )
    store: str | None = Field(
        default=None, description="Embeddings made ahead (mask-engine embed), and kept here."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen at.")
    hosts: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Names that it is called by from other machines, such as a proxy's.",
    )
    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535, description="Port; 0 for a free one.")
    credentials: str | None = Field(
        default=None, description="File of user name and password; made if it is not there."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of the server's model; the cores if unset."
    )
    max_body_mib: int = Field(default=64, ge=1, le=1024, description="Longest request, in MiB.")

    def as_backend(self, source: str | None, source_name: str | None = None) -> BackendSettings:
        """The same as the click backend has it."""
        return BackendSettings(
            source=source,
            source_name=source_name,
            checkpoint=self.checkpoint,
            store=self.store,
            host=self.host,
            port=self.port,
            credentials=self.credentials,
            threads=self.threads,
        )
