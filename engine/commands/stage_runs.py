"""A configuration of any stage with people; which stage it is of, its keys say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.configuration import build, merge, parse_assignments, read_yaml

if TYPE_CHECKING:
    from engine.assist.settings import AssistRun


def read_stage_run(config: str, pairs: Sequence[str] = ()) -> AssistRun:
    """Reads a configuration of `assist`, `semi` or `verify`; `key=value` pairs win over it.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    from engine.assist.settings import AssistRun
    from engine.semi.settings import SemiRun
    from engine.verify.settings import VerifyRun

    layers = [read_yaml(config), parse_assignments(pairs)]
    keys = merge(*layers)
    if "run" in keys and "source" not in keys:
        return build(VerifyRun, layers, origin=config).tasks()
    return build(SemiRun if "detector" in keys else AssistRun, layers, origin=config)
