"""Commands that need an extra of the package say so, instead of failing at an import."""

from __future__ import annotations

from importlib.util import find_spec

from model.errors import ConfigurationError


def require_client() -> None:
    """Checks what speaking to Label Studio needs; the first line of each of its commands.

    Not of their group: that one's callback runs before a command's `--help`, which needs nothing.

    Raises:
        ConfigurationError: if it is not installed.
    """
    if find_spec("httpx") is None:
        raise ConfigurationError(
            "this command speaks to Label Studio and needs httpx: "
            "pip install 'mask-engine[label-studio]'"
        )
