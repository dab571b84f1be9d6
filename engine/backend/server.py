"""Puts the click backend together and runs it until it is stopped."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import uvicorn
from starlette.applications import Starlette

from engine.backend.app import build_app
from engine.backend.conversation import Conversation, Interlocutor, mask_of
from engine.backend.credentials import Credentials, load_credentials
from engine.backend.embeddings import Embeddings
from engine.backend.model_threads import SegmenterOnTwoThreads
from engine.backend.photo_door import AllowedPlaces, PhotoDoor
from engine.backend.service import ClickService
from engine.backend.settings import BackendSettings
from engine.clicks.log import open_click_log
from model.errors import ConfigurationError
from model.segmenter import PromptableSegmenter
from pipelines.embedding_store import EmbeddingStore
from pipelines.manifest import usable_cores
from pipelines.promised_model import CheckpointSegmenter
from stages.records import PromptRecord

SegmenterFactory = Callable[[], PromptableSegmenter]

# Connections beyond this are answered 503 at once instead of being kept waiting.
_MOST_CONNECTIONS: Final = 256
_WARM_UP_HW: Final = (96, 128)


@dataclass(frozen=True, eq=False)
class Backend:
    """A backend that is ready to serve.

    Attributes:
        app: the application.
        credentials: that it wants.
        model_id: of the model that answers.
        photos: how many were listed.
    """

    app: Starlette
    credentials: Credentials
    model_id: str
    photos: int


def build_backend(
    settings: BackendSettings, *, segmenter: SegmenterFactory | None = None
) -> Backend:
    """Checks what was asked for, loads the model and warms it up.

    Args:
        settings: as the user stated them.
        segmenter: gives the model, in place of the configured checkpoint.

    Raises:
        ConfigurationError: if something asked for cannot be done.
    """
    file = Path(settings.credentials).expanduser() if settings.credentials else None
    credentials = load_credentials(file)
    door = PhotoDoor(settings.source, settings.source_name, AllowedPlaces.of(settings.allow))
    photos = door.open()
    threads = settings.threads or usable_cores()
    load = segmenter or CheckpointSegmenter(settings.checkpoint, settings.device, threads)
    model = SegmenterOnTwoThreads(load())
    _warm_up(model)
    service = ClickService(
        model.model_id,
        Interlocutor(model),
        Embeddings(
            model,
            door.read,
            store=_store(settings, model.model_id),
            limits=settings.limits,
            memory_bytes=settings.memory_bytes,
        ),
        door,
        open_click_log(settings.click_log, setting="--clicks"),
    )
    app = build_app(service, credentials, max_body_bytes=settings.max_body_mib * 2**20)
    return Backend(app, credentials, model.model_id, photos)


def listen(settings: BackendSettings) -> socket.socket:
    """Opens the port before anything slow is done, so that a busy one is told at once.

    Raises:
        ConfigurationError: if it cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        raise ConfigurationError(
            f"{settings.host}:{settings.port}: cannot be listened at ({error.strerror}). Another "
            "backend may be running; stop it, or give another --port."
        ) from None
    # Connections inherit it. asyncio sets it for sockets that name their protocol, which this one
    # does not; without it an answer's body waits 40 ms for the other side to have seen its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def serve(backend: Backend, listening: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM; answers under way are finished."""
    serve_app(backend.app, listening)


def serve_app(app: Starlette, listening: socket.socket) -> None:
    """Serves any application of ours in the same way."""
    uvicorn.Server(_configuration(app)).run(sockets=[listening])


@contextlib.contextmanager
def serving(backend: Backend, listening: socket.socket) -> Iterator[str]:
    """Serves in a thread as long as the block lasts; gives the address."""
    server = uvicorn.Server(_configuration(backend.app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    host, port = listening.getsockname()[:2]
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _configuration(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=10,
    )


def _store(settings: BackendSettings, model_id: str) -> EmbeddingStore | None:
    if settings.store is None:
        return None
    return EmbeddingStore(settings.store, model_id, max_bytes=settings.store_bytes)


def _warm_up(model: PromptableSegmenter) -> None:
    """The first request of each kind is slow (memory, kernels); Label Studio waits one second."""
    embedding = model.embed(np.zeros((*_WARM_UP_HW, 3), np.uint8))
    embedding = model.embedding_from_bytes(embedding.to_bytes())
    prompt = PromptRecord(points_xy=((20.0, 20.0), (40.0, 30.0)), point_labels=(1, 1))
    mask_of(Interlocutor(model).answer(embedding, Conversation("warm-up", prompt)), embedding)
