"""What can go wrong between this side and a Label Studio server, by what to do about it."""

from __future__ import annotations

from model.errors import ConfigurationError, StopError


class ServerRefusedError(ConfigurationError):
    """The server is there, but will not do this: wrong address, token, project or setting."""


class ServerUnavailableError(StopError):
    """The server did not answer, or failed; what was asked may or may not have been done.

    Nothing on this side depends on it: running the same command again goes on.
    """
