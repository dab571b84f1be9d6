"""The errors of mask-engine, one class for each thing that can be done about it.

Messages say what and which (id, path, value), what was expected, and what to do.
"""


class MaskEngineError(Exception):
    """Base of every error that mask-engine raises on purpose."""


class ConfigurationError(MaskEngineError):
    """Something the user asked for cannot be done; raised before any work (exit code 2)."""


class BusyError(ConfigurationError):
    """Another process is at work in the folder; trying again when it has ended helps."""


class CheckpointError(ConfigurationError):
    """A checkpoint file is missing, broken, foreign, or not the one that was promised."""


class RecordError(MaskEngineError):
    """One image cannot be handled; it becomes that image's row, and the run goes on.

    Attributes:
        kind: short machine-readable reason (`unreadable`, `too_many_pixels`, ...) that is
            counted in the run's summary.
        passing: whether trying again later may help (network, time-out).
    """

    def __init__(self, kind: str, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.passing = passing

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_record_error, (type(self), self.kind, str(self), self.passing))


class ShardError(MaskEngineError):
    """One shard could not be made; a re-run (or the runner's retry) does it again."""


class StopError(MaskEngineError):
    """The run must stop now: too many failures, no disk space (exit code 1). A re-run goes on."""


class StoppedByUserError(StopError):
    """Somebody pressed Ctrl-C (exit code 130). A re-run goes on."""


def _rebuild_record_error(
    cls: type[RecordError], kind: str, message: str, passing: bool
) -> RecordError:
    return cls(kind, message, passing=passing)
