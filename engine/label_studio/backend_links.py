"""The links of the chain that this machine can try alone: is the click backend there, and open?"""

from __future__ import annotations

from typing import Any, Final

import httpx

from engine.assist.settings import BackendSettings
from engine.backend.credentials import load_credentials
from engine.label_studio.links import BrokenLinkError

_OTHER_CURE: Final = (
    "something else listens there: give mask-engine serve another port, or correct backend.url"
)


def backend_answers(backend: BackendSettings) -> str:
    """Something answers at its address.

    Raises:
        BrokenLinkError: if not.
    """
    response = _ask(backend, auth=None)
    if response.status_code not in {httpx.codes.OK, httpx.codes.UNAUTHORIZED}:
        raise BrokenLinkError(f"{backend.url} answers HTTP {response.status_code}", _OTHER_CURE)
    return f"{backend.url} answers"


def backend_lets_in(backend: BackendSettings) -> str:
    """It takes the password that this machine knows, and is a backend of ours.

    Raises:
        BrokenLinkError: if not.
    """
    credentials = load_credentials(backend.credentials_file)
    response = _ask(backend, auth=(credentials.user, credentials.password))
    if response.status_code != httpx.codes.OK:
        raise BrokenLinkError(
            f"{backend.url} refuses the credentials of {credentials.origin}",
            "let the backend and this command use the same credentials (file or environment)",
        )
    try:
        model: Any = response.json()["model_version"]
    except (LookupError, TypeError, ValueError):
        raise BrokenLinkError(
            f"{backend.url} is no `mask-engine serve`: it says nothing of a model", _OTHER_CURE
        ) from None
    return f"accepted; the model is {model}"


def _ask(backend: BackendSettings, auth: tuple[str, str] | None) -> httpx.Response:
    try:
        return httpx.get(f"{backend.url.rstrip('/')}/health", auth=auth, timeout=10.0)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise BrokenLinkError(
            f"{backend.url} is no address ({error})",
            "correct backend.url, such as http://127.0.0.1:9090",
        ) from None
    except httpx.HTTPError as error:
        raise BrokenLinkError(
            f"{backend.url} does not answer ({error})",
            "start it in a terminal of its own (`mask-engine serve` and the photos), or correct "
            "backend.url",
        ) from None
