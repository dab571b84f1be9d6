"""One model a process, however many threads and DoFns of a Beam worker want it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apache_beam.utils.shared import Shared

from model.segmenter import PromptableSegmenter


@dataclass(eq=False)
class _Holder:
    """Beam shares by weak reference, which not every model allows."""

    segmenter: PromptableSegmenter


class SharedModel:
    """A model that is loaded once in a process; only its factory is pickled."""

    def __init__(self, factory: Callable[[], PromptableSegmenter]) -> None:
        self._factory = factory
        self._shared = Shared()
        self._holder: _Holder | None = None

    def load(self) -> None:
        """Loads the model, or takes the one that another thread has loaded."""
        self._holder = self._shared.acquire(lambda: _Holder(self._factory()))

    @property
    def segmenter(self) -> PromptableSegmenter:
        """The loaded model."""
        if self._holder is None:
            raise RuntimeError("the model is asked before `load`")
        return self._holder.segmenter
