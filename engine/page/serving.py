"""Puts the page together and serves it until it is stopped, or writes it to a folder."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette

from engine.backend.credentials import Credentials, load_credentials
from engine.backend.server import listen, serve_app
from engine.page.app import Photos, build_page, demo_settings, photo_entry
from engine.page.browser_model import browser_model
from engine.page.guard import TOKEN
from engine.page.looking import Looking, SegmenterFactory
from engine.page.settings import PageSettings
from engine.page.shelf import PhotoShelf
from engine.page.static_site import write_site
from stages.photos import PhotoLimits

Told = Callable[[str], None]


def serve_demo(
    settings: PageSettings, source: str | None, *, told: Told, ready: Callable[[str], None]
) -> None:
    """Serves the page with the photos of a source, or with none.

    Args:
        settings: as the user stated them.
        source: photos to offer.
        told: takes lines about the work.
        ready: takes the page's address once it is served.

    Raises:
        ConfigurationError: if something asked for cannot be done.
    """
    with listen(settings.as_backend(source)) as listening:
        credentials = page_credentials(settings)
        folder = browser_model(settings.checkpoint, told=told)
        app = demo_app(settings, source, folder, credentials)
        ready(address_of(listening, credentials))
        serve_app(app, listening)


def demo_app(
    settings: PageSettings,
    source: str | None,
    model_folder: Path,
    credentials: Credentials,
    *,
    segmenter: SegmenterFactory | None = None,
) -> Starlette:
    """The application that `serve_demo` serves; `segmenter` takes the checkpoint's place."""
    if source is None:
        return build_page(demo_settings([]), model_folder, credentials)
    shelf = PhotoShelf(source, None, PhotoLimits())
    looking = Looking(settings.as_backend(source), shelf, segmenter=segmenter)
    entries = [photo_entry(photo.image_id, photo.path) for photo in shelf.photos]
    return build_page(
        demo_settings(entries), model_folder, credentials, Photos(shelf, looking).routes()
    )


def write_demo(settings: PageSettings, source: str | None, target: Path, *, told: Told) -> int:
    """Writes the page for a static host; returns its bytes.

    Raises:
        ConfigurationError: if the folder holds something else, or cannot be written.
    """
    shelf = None if source is None else PhotoShelf(source, None, PhotoLimits())
    return write_site(target, browser_model(settings.checkpoint, told=told), shelf)


def page_credentials(settings: PageSettings) -> Credentials:
    """Whose password is the page's token."""
    file = Path(settings.credentials).expanduser() if settings.credentials else None
    return load_credentials(file)


def address_of(listening: socket.socket, credentials: Credentials) -> str:
    """What to open in a browser."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/?{TOKEN}={credentials.password}"
