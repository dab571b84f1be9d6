"""Photos behind http addresses that the operator allowed: no redirects, no more than the limit."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import IO, Any, Final

from model.errors import RecordError
from stages.photos import PhotoLimits

_TIMEOUT_SECONDS: Final = 20.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would lead to a place that nobody allowed."""

    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follows none."""


# Without proxies and without other protocols: what the address says is what is asked.
_OPENER: Final = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.ProxyHandler({}),
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPDefaultErrorHandler(),
    urllib.request.HTTPErrorProcessor(),
    _NoRedirects(),
):
    _OPENER.add_handler(_handler)


def read_http_photo(address: str, limits: PhotoLimits) -> bytes:
    """The bytes behind an address; its query, which may be a signature, is in no message.

    Raises:
        RecordError: of kind `vanished`, `no_permission`, `too_many_bytes`, or one that may pass:
            `network`, `timeout`.
    """
    shown = address.partition("?")[0]
    try:
        with _OPENER.open(address, timeout=_TIMEOUT_SECONDS) as response:
            data: bytes = response.read(limits.max_bytes + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(shown, error.code) from None
    except TimeoutError:
        raise RecordError("timeout", f"{shown}: no answer in time", passing=True) from None
    except (OSError, HTTPException, ValueError) as error:
        problem = type(error).__name__
        raise RecordError("network", f"{shown}: {problem}", passing=True) from None
    if len(data) > limits.max_bytes:
        raise RecordError("too_many_bytes", f"{shown}: more than {limits.max_bytes:,} bytes")
    return data


def _refused(shown: str, status: int) -> RecordError:
    if status in (401, 403):
        return RecordError("no_permission", f"{shown}: the server answers {status}")
    if status in (404, 410):
        return RecordError("vanished", f"{shown}: the server answers {status}")
    if 300 <= status < 400:
        return RecordError("no_permission", f"{shown}: leads elsewhere ({status}), not followed")
    return RecordError("network", f"{shown}: the server answers {status}", passing=True)
