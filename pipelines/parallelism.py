"""How many processes, with how many threads each: what `workers: auto` means.

A photo's work is a row of small steps, and threads wait for each other after every one of them.
Processes wait for nobody, so there are as many as cores, with one thread each, as long as memory
and shards suffice (`benchmarks/workers.py` measures both ways). The number of threads belongs to a
run from its beginning (sums in another order are other sums); the number of workers does not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from pipelines.manifest import usable_cores

AUTO: Final = "auto"
# What a worker with a small model and a usual photo takes, with room to spare.
MEMORY_OF_A_WORKER_BYTES: Final = 2 * 2**30


@dataclass(frozen=True)
class Machine:
    """What there is to share out."""

    cores: int
    memory_bytes: int

    @classmethod
    def here(cls) -> Machine:
        """This machine, as far as this process may use it."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(usable_cores(), memory)

    def most_workers(self, shards: int) -> int:
        """Processes that have a core, a share of memory and a shard each."""
        by_memory = self.memory_bytes // MEMORY_OF_A_WORKER_BYTES
        return max(1, min(self.cores, by_memory, shards))

    def threads(self, workers: int) -> int:
        """Threads for each of so many workers."""
        return max(1, self.cores // workers)

    def workers(self, threads: int, shards: int) -> int:
        """Workers for so many shards, with so many threads each."""
        return max(1, min(self.cores // threads, self.most_workers(shards)))
