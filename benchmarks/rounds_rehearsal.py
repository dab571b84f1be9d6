"""An experiment's configuration at toy size: every step of it in minutes, then its report.

    python benchmarks/rounds_rehearsal.py configs/experiments/rounds.yaml --data-root DATA --out RUN

What comes out says nothing about rounds; that it comes out says that the whole one will.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from engine.configuration import build, merge, read_yaml
from engine.console import note
from engine.rounds.report import write_report
from engine.rounds.run import run_engine
from engine.rounds.settings import EngineSettings
from engine.rounds.status import state_of

TOY: Final[dict[str, Any]] = {
    "people": {"annotator": {"most_clicks": 2}},
    "held_out": {"photos": 3, "masks": 4, "masks_per_photo": 2, "most_clicks": 2},
    "first": {
        "data": {"side_px": 64, "images_per_step": 1, "masks_per_image": 2},
        "session": {"loop": {"steps": 2, "plain_steps": 2}},
    },
    "train": {
        "steps": 2,
        "recipe": {"data": {"side_px": 64, "images_per_step": 1, "masks_per_image": 2}},
    },
    "gate": {"least_photos": 3},
    "machine_alone": {"photos": 2, "steps": 2},
}
SMALL_GRID: Final = {"points_per_side": 3}


def toy_of(config: dict[str, Any], **changes: Any) -> EngineSettings:
    """The configuration with all its steps and hardly any work in them.

    Args:
        config: as the file has it.
        changes: out, data_root and the like.
    """
    small = merge(merge(config, TOY), changes)
    small["held_out"]["parameters"] = small["held_out"].get("parameters", {}) | SMALL_GRID
    if small.get("calibration"):
        small["calibration"] |= {
            "photos": 2,
            "parameters": small["calibration"].get("parameters", {}) | SMALL_GRID,
        }
    small["rounds"] = [_small_round(entry) for entry in small["rounds"]]
    return build(EngineSettings, [small], origin="rehearsal")


def _small_round(entry: dict[str, Any]) -> dict[str, Any]:
    small = merge(entry, {"photos": {"count": 2}})
    if "objects_per_photo" in small:
        small["objects_per_photo"] = 2
    if "proposing" in small:
        parameters = small["proposing"].get("parameters", {}) | SMALL_GRID
        small["proposing"] = merge(small["proposing"], {"parameters": parameters})
    return small


def main() -> None:
    """Runs it; a second call goes on where the first one stopped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("config", help="an experiment's configuration")
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    settings = toy_of(
        dict(read_yaml(arguments.config)), out=arguments.out, data_root=arguments.data_root
    )
    stopped = run_engine(settings)
    state = state_of(stopped.ledger, settings)
    page = write_report(stopped.ledger, state, Path(arguments.out) / "report")
    note(f"{state}: {page}")


if __name__ == "__main__":
    main()
