"""Reads what `mask-engine checkpoints average` is given: checkpoints and what each counts."""

from __future__ import annotations

from collections.abc import Sequence

from model.errors import ConfigurationError


def read_shares(options: Sequence[str]) -> dict[str, float]:
    """`CHECKPOINT=SHARE` each, by checkpoint.

    Raises:
        ConfigurationError: one is not of that form, or a checkpoint is given twice.
    """
    shares: dict[str, float] = {}
    for option in options:
        name, _, share = option.rpartition("=")
        if not name:
            raise ConfigurationError(f"{option!r}: expected CHECKPOINT=SHARE, as in starter=0.4")
        if name in shares:
            raise ConfigurationError(f"{name} is given twice: give each checkpoint once")
        try:
            shares[name] = float(share)
        except ValueError:
            raise ConfigurationError(
                f"{option!r}: {share!r} is no number; expected CHECKPOINT=SHARE, as in starter=0.4"
            ) from None
    return shares
