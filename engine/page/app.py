"""The page's server: its own files, the model's graphs, and the photos it was started with."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.backend.app import ERROR_ANSWERS
from engine.backend.credentials import Credentials
from engine.backend.errors import RequestError
from engine.page.guard import PageGuard
from engine.page.looking import Looking
from engine.page.shelf import PhotoShelf

STATIC: Final = Path(__file__).parent / "static"
Json = dict[str, Any]

mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("text/javascript", ".js")


class Folder:
    """Files of a folder by the path in an address; nothing above it, nothing hidden."""

    def __init__(self, root: Path) -> None:
        self._files = {
            path.relative_to(root).as_posix(): path
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    async def answer(self, request: Request) -> Response:
        """The file, or that there is none."""
        name = request.path_params.get("path") or "index.html"
        path = self._files.get(name)
        if path is None:
            raise RequestError(404, "there is no such file")
        # Files change with the package's version only; a browser asks whether they did.
        return FileResponse(path, headers={"Cache-Control": "no-cache"})


class Photos:
    """A shelf's photos, their embeddings and all their masks."""

    def __init__(self, shelf: PhotoShelf, looking: Looking) -> None:
        self._shelf = shelf
        self._looking = looking

    async def image(self, request: Request) -> Response:
        """The photo itself."""
        data, media_type = await run_in_threadpool(self._shelf.shown, request.path_params["id"])
        return Response(data, media_type=media_type, headers={"Cache-Control": "max-age=3600"})

    async def features(self, request: Request) -> Response:
        """Its embedding."""
        data = await run_in_threadpool(self._looking.features, request.path_params["id"])
        return Response(data, media_type="application/octet-stream")

    async def everything(self, request: Request) -> Response:
        """All its masks."""
        found = await run_in_threadpool(self._looking.everything, request.path_params["id"])
        return JSONResponse(found)

    def routes(self) -> list[BaseRoute]:
        """Their addresses."""
        return [
            Route("/photos/{id}", self.image),
            Route("/features/{id}", self.features),
            Route("/everything/{id}", self.everything),
        ]


def photo_entry(image_id: str, name: str) -> Json:
    """A photo as the page's settings list it."""
    return {
        "id": image_id,
        "name": name,
        "image": f"photos/{image_id}",
        "features": f"features/{image_id}",
        "everything": f"everything/{image_id}",
    }


def demo_settings(photos: Sequence[Json]) -> Json:
    """What the page reads first."""
    return {"mode": "demo", "model": "model/", "photos": list(photos), "labels": []}


def build_page(
    settings: Json,
    model_folder: Path,
    credentials: Credentials,
    routes: Sequence[BaseRoute] = (),
    *,
    hosts: tuple[str, ...] = (),
    **options: Any,
) -> Starlette:
    """The application: the page and what goes with it, behind the guard.

    Args:
        settings: for the page (`demo_settings`).
        model_folder: the graphs (`browser_model`).
        credentials: their password is the token.
        routes: further addresses.
        hosts: names that it is called by, beside this machine's.
        options: for the application, such as its `lifespan`.
    """
    text = json.dumps(settings)

    async def settings_json(_request: Request) -> Response:
        headers = {"Cache-Control": "no-store"}
        return Response(text, media_type="application/json", headers=headers)

    return Starlette(
        routes=[
            Route("/settings.json", settings_json),
            Route("/model/{path}", Folder(model_folder).answer),
            *routes,
            Route("/{path:path}", Folder(STATIC).answer),
        ],
        middleware=[Middleware(PageGuard, credentials=credentials, hosts=hosts)],
        exception_handlers=ERROR_ANSWERS,
        **options,
    )
