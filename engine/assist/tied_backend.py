"""The click backend's tie to a project: made once, and made good again on every send.

A tie is three things on the server: the backend with its password, a webhook that rings when
somebody submits, and nothing that is left of a backend that has moved. A send may break off
between any two of them, so each is looked at every time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from engine.assist.settings import AssistRun
from engine.backend.credentials import Credentials, is_of_the_bell, load_credentials
from engine.backend.labels import BELL_PATH
from engine.label_studio.client import LabelStudio
from engine.label_studio.errors import ServerRefusedError
from model.errors import ConfigurationError

LOGGER = logging.getLogger(__name__)

BACKEND_TITLE: Final = "mask-engine"

Json = dict[str, Any]


def ensure_backend(settings: AssistRun, studio: LabelStudio, project: int) -> None:
    """Ties the click backend to the project; the server asks it at once whether it is up.

    Raises:
        ConfigurationError: if it is not tied yet, and the server cannot reach it, or it refuses the
            password.
    """
    if settings.backend is None:
        return
    wanted = settings.backend.url.rstrip("/")
    there: Sequence[Json] = studio.get("/api/ml", {"project": project})
    own = next((backend for backend in there if backend["url"].rstrip("/") == wanted), None)
    credentials = load_credentials(settings.backend.credentials_file)
    content = {
        "project": project,
        "url": wanted,
        "is_interactive": True,
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": credentials.user,
        "basic_auth_pass": credentials.password,
    }
    try:
        if own is None:
            studio.post("/api/ml", content | {"title": BACKEND_TITLE})
        else:
            studio.patch(f"/api/ml/{own['id']}", content)
    except ServerRefusedError as error:
        told = (
            f"Start it in a terminal of its own (`mask-engine serve {settings.source}`), or "
            f"correct backend.url; if it refuses the password, let it and this command use the "
            f"same one (here: of {credentials.origin})."
        )
        if own is None or not _is_whole(studio, own, content, credentials):
            raise ConfigurationError(
                f"{studio.url} does not get through to the click backend at {wanted}, and no photo "
                f"was sent. {told} Then send again. Its words: {str(error)[:240]}"
            ) from None
        LOGGER.warning(
            "%s does not get through to the click backend at %s. The project is tied to it, so "
            "photos are sent, but nothing answers a click yet. %s",
            studio.url,
            wanted,
            told,
        )
    # The page asks the first one there is, so one that has moved must not stay.
    moved = [b for b in there if b is not own and b.get("title") == BACKEND_TITLE]
    _hang_the_bell(studio, project, wanted, credentials, {b["url"].rstrip("/") for b in moved})
    for backend in moved:
        studio.delete(f"/api/ml/{backend['id']}")


def _is_whole(studio: LabelStudio, own: Json, content: Json, credentials: Credentials) -> bool:
    """Whether a send before this one tied the backend as it is wanted, to the last step.

    The server tells no password; but the webhook is hung last, and its own comes of the backend's.
    """
    told = ("is_interactive", "basic_auth_user")
    if any(own.get(name) != content[name] for name in told):
        return False
    bell = {"url": f"{content['url']}{BELL_PATH}", "headers": _bell_headers(credentials)}
    hooks = studio.get("/api/webhooks/", {"project": content["project"]})
    return any(bell.items() <= hook.items() for hook in hooks)


def _bell_headers(credentials: Credentials) -> dict[str, str]:
    return {"Authorization": credentials.of_the_bell.header}


def _hang_the_bell(
    studio: LabelStudio, project: int, backend: str, credentials: Credentials, moved: set[str]
) -> None:
    """Lets the server tell the backend when somebody submits, and nobody else in its place.

    The server has made such a webhook by itself; nobody lets it in, and it carries whole tasks.
    """
    address = f"{backend}{BELL_PATH}"
    wanted = {
        "url": address,
        "headers": _bell_headers(credentials),
        "send_payload": False,
        "send_for_all_actions": False,
        "actions": ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"],
    }
    try:
        hooks = [
            hook
            for hook in studio.get("/api/webhooks/", {"project": project})
            if hook.get("project", project) == project
        ]
        own = next((hook["id"] for hook in hooks if hook["url"] == address), None)
        if own is None:
            studio.post("/api/webhooks/", {"project": project, **wanted})
        else:
            studio.patch(f"/api/webhooks/{own}/", wanted)
        for hook in hooks:
            if hook["url"] != address and _is_left_behind(hook, moved):
                studio.delete(f"/api/webhooks/{hook['id']}/")
    except ServerRefusedError as error:
        LOGGER.warning("no webhook, so `collect --every` waits its whole time: %s", error)


def _is_left_behind(hook: Json, moved: set[str]) -> bool:
    """Whether a webhook rings at a backend of ours that is not there any more."""
    backend, path = str(hook["url"])[: -len(BELL_PATH)], str(hook["url"])[-len(BELL_PATH) :]
    if path != BELL_PATH:
        return False
    header = str((hook.get("headers") or {}).get("Authorization", ""))
    return backend.rstrip("/") in moved or is_of_the_bell(header)
