"""An audit's sample goes to people in Label Studio, each mask as an outline, and comes back."""

from __future__ import annotations

from collections.abc import Sequence

from engine.assist.collecting import Collected, collect
from engine.assist.connection import Connection, connection_of
from engine.assist.sending import Sent, send
from engine.configuration import build, parse_assignments, read_yaml
from engine.rounds.people import AskedAgain
from engine.semi.stage import prediction_of, prefilled_of
from pipelines.row_lookup import RowLookup
from pipelines.shards import read_rows
from pipelines.storage import Folder


class AuditRun(AskedAgain):
    """Where an audit's sample goes: people's settings, sent by a command of its own."""

    @classmethod
    def send_command(cls) -> str:
        """What is typed before anything can be collected."""
        return "mask-engine audit SAMPLE --send CONFIG"


def read_audit_settings(config: str, pairs: Sequence[str] = ()) -> AuditRun:
    """Reads where the sample goes: source, out, project, server, as `mask-engine assist` does.

    Raises:
        ConfigurationError: naming the key that is wrong, unknown or missing.
    """
    return build(AuditRun, [read_yaml(config), parse_assignments(pairs)], origin=config)


def send_sample(sample: str, settings: AskedAgain, *, connection: Connection | None = None) -> Sent:
    """Gives each photo of a sample a task that begins with its sampled masks.

    Raises:
        ConfigurationError: if the server cannot be used, or there is no sample.
        ServerUnavailableError: if the server goes away; sending again goes on.
    """
    photos = [row.ref for row in read_rows(sample, columns=[])]
    kept = RowLookup(Folder(sample))
    with connection_of(settings.server, connection) as server:
        return send(settings, server, photos=photos, prefill=lambda ref: prediction_of(kept, ref))


def collect_sample(
    sample: str, settings: AskedAgain, *, connection: Connection | None = None
) -> Collected:
    """Brings what people made of it into a run: what the sample is compared with.

    Raises:
        ConfigurationError: if nothing was sent yet.
        ServerUnavailableError: if the server goes away; collecting again goes on.
    """
    kept = RowLookup(Folder(sample))
    with connection_of(settings.server, connection) as server:
        return collect(settings, server, prefilled_of=lambda ref: prefilled_of(kept, ref))
