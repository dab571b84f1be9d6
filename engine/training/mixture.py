"""Several sources as one, by weight; every example can be drawn again from its number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.training.first_prompts import make_example
from engine.training.scene import NumberedScenes, SceneSource
from model.training.examples import TrainingBatch, TrainingExample

MOST_ATTEMPTS = 50


@dataclass(frozen=True)
class WeightedSource:
    """A source and how readily it is drawn from."""

    name: str
    source: SceneSource | NumberedScenes
    weight: float


class Mixture:
    """Draws example number i of a run; the same seed and number give the same example.

    That is what makes a killed run go on to the same result: nothing about the data needs saving
    but how many examples have been used.
    """

    def __init__(
        self,
        sources: Sequence[WeightedSource],
        *,
        seed: int,
        side_px: int,
        masks: int,
        innermost_share: float,
        nothing_share: float,
        repeat_after: int = 0,
    ) -> None:
        weights = np.array([source.weight for source in sources], float)
        if not len(sources) or weights.sum() <= 0:
            raise ValueError("a mixture needs at least one source with a weight above 0")
        self._sources = sources
        self._shares = weights / weights.sum()
        self._seed = seed
        self._side_px = side_px
        self._masks = masks
        self._innermost_share = innermost_share
        self._nothing_share = nothing_share
        self._repeat_after = repeat_after

    def example(self, number: int) -> TrainingExample:
        """Example `number` of the run, or the one that it repeats.

        Raises:
            RuntimeError: scene after scene came without a usable mask.
        """
        if self._repeat_after:
            number %= self._repeat_after
        rng = np.random.default_rng([self._seed, number])
        for _ in range(MOST_ATTEMPTS):
            chosen = int(rng.choice(len(self._sources), p=self._shares))
            source = self._sources[chosen].source
            if isinstance(source, NumberedScenes):
                source = source.at(self._seed, number)
            scene = source.draw(self._side_px, rng)
            if len(scene.masks_NSS):
                return make_example(
                    scene,
                    self._masks,
                    rng,
                    innermost_share=self._innermost_share,
                    nothing_share=self._nothing_share,
                )
        names = ", ".join(source.name for source in self._sources)
        raise RuntimeError(
            f"{MOST_ATTEMPTS} scenes in a row had no usable mask (sources: {names}): "
            "check their annotations"
        )

    def batch(self, number: int, examples: int) -> TrainingBatch:
        """Batch `number` of `examples` examples."""
        first = number * examples
        return TrainingBatch.stack([self.example(first + i) for i in range(examples)])
