"""How many processes, with how many threads each: what `workers: auto` means.

As many processes as are fastest on the machine's cores, as long as memory and shards suffice; the
cores are shared out among them as threads. The number of threads belongs to a run from its
beginning (sums in another order are other sums); the number of workers does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipelines.machine_memory import usable_memory_bytes
from pipelines.manifest import usable_cores

AUTO: Final = "auto"
# What a worker with a small model and a usual photo takes, with room to spare.
MEMORY_OF_A_WORKER_BYTES: Final = 2 * 2**30
# Threads of a process where it is fastest; 2 if `benchmarks/workers.py` finds two threads faster.
FASTEST_THREADS: Final = 1


def fastest_processes(cores: int) -> int:
    """How many processes make the most of so many cores.

    Answering prompts keeps all threads of a process busy, but reading, encoding and writing a
    photo keep one of them busy, and the others wait. Other processes do not wait for that.
    """
    return max(1, cores // FASTEST_THREADS)


@dataclass(frozen=True)
class Machine:
    """What there is to share out."""

    cores: int
    memory_bytes: int

    @classmethod
    def here(cls) -> Machine:
        """This machine, as far as this process may use it."""
        return cls(usable_cores(), usable_memory_bytes())

    def most_workers(self, shards: int) -> int:
        """The fastest number of processes that have a share of memory and a shard each."""
        return max(1, min(fastest_processes(self.cores), self._by_memory, shards))

    def threads(self, workers: int) -> int:
        """Threads for each of so many workers."""
        return max(1, self.cores // workers)

    def workers(self, threads: int, shards: int) -> int:
        """Workers for so many shards, with so many threads each."""
        return max(1, min(self.cores // threads, self._by_memory, shards))

    def why(self, workers: int, shards: int) -> str | None:
        """In a few words, why so many were picked; None if it was not this machine that set it."""
        if workers == fastest_processes(self.cores):
            return f"the fastest on {self.cores} core{'s' if self.cores > 1 else ''}"
        if workers == shards:
            return "one for each shard"
        if workers == max(1, self._by_memory):
            return f"memory for no more, at {MEMORY_OF_A_WORKER_BYTES // 2**30} GiB each"
        return None

    @property
    def _by_memory(self) -> int:
        return self.memory_bytes // MEMORY_OF_A_WORKER_BYTES
