"""Tables and plots of an engine's rounds, for docs/experiments: what got better, by how much.

    python benchmarks/rounds_report.py CONFIG_OR_FOLDER [--set KEY=VALUE ...] [--out FOLDER]

Works wherever the engine stands. The report goes into the engine's folder, `report/`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.rounds.report import write_report
from engine.rounds.status import engine_status, state_of


def main() -> None:
    """Writes the report and prints its page."""
    arguments = _arguments()
    ledger, settings = engine_status(arguments.engine, arguments.settings)
    out = arguments.out or Path(ledger.folder.address) / "report"
    page = write_report(ledger, state_of(ledger, settings), out)
    print(page.read_text(encoding="utf-8"))
    print(page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("engine", help="an engine's configuration or folder")
    parser.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[], help="as of run"
    )
    parser.add_argument("--out", type=Path, help="where the report goes [ENGINE/report]")
    return parser.parse_args()


if __name__ == "__main__":
    main()
