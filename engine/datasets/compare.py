"""What is different between two data sets, or runs: photos, and masks by their ids."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.shards import read_rows


@dataclass(frozen=True)
class Difference:
    """What changed from the first to the second.

    Attributes:
        photos_added, photos_removed: ids.
        photos_changed: ids of photos whose masks are others, with masks added and removed.
        masks_added, masks_removed: in all, with those of added and removed photos.
    """

    photos_added: tuple[str, ...]
    photos_removed: tuple[str, ...]
    photos_changed: dict[str, tuple[int, int]]
    masks_added: int
    masks_removed: int


def difference(first: str, second: str) -> Difference:
    """Compares two folders of shards.

    Raises:
        ConfigurationError: if one of them has no shards.
    """
    before, after = _masks(first), _masks(second)
    changed = {
        image: (len(after[image] - masks), len(masks - after[image]))
        for image, masks in before.items()
        if image in after and masks != after[image]
    }
    added = tuple(sorted(after.keys() - before.keys()))
    removed = tuple(sorted(before.keys() - after.keys()))
    return Difference(
        added,
        removed,
        changed,
        sum(len(after[i]) for i in added) + sum(more for more, _ in changed.values()),
        sum(len(before[i]) for i in removed) + sum(fewer for _, fewer in changed.values()),
    )


def _masks(run: str) -> dict[str, frozenset[str]]:
    return {
        row.ref.image_id: frozenset(mask.mask_id for mask in row.masks)
        for row in read_rows(run, columns=["masks"])
        if row.error is None
    }
