"""The starter taught nuclei in three ways, and a few steps of the official architecture.

    python benchmarks/finetuning.py [--data data] [--out runs/finetuning]

`configs/finetune-{decoder,lora,full}.yaml` one after the other, then evaluation by clicks on
held-out nuclei, and on everyday photos to see what was unlearned. `--data` is the folder that holds
`bbbc038/` and `coco_clean/` (docs/starter.md). Then `configs/train-vit-b-smoke.yaml`: ViT-B from
random weights at 1024 px, for its memory and seconds a step; `--no-smoke` leaves it out.

Kill it whenever you like: `results.json` in `--out` keeps every part that is done, and the same
command goes on with the next one. Times are of the clock and want an otherwise idle machine;
processor seconds, of all threads, tell how idle it was. `--steps 3 --masks 8` tries all of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from command import Cost, run_command

from model.checkpoints import read_card

WAYS: Final = ("decoder", "lora", "full")
TRUTHS: Final = {"nuclei": "bbbc038/dev.json", "everyday": "coco_clean/dev.json"}
CLICKS: Final = (1, 3)
SMOKE: Final = "train-vit-b-smoke"
CHECKPOINT: Final = "checkpoint.safetensors"

Part = dict[str, Any]


class Kept:
    """Parts that are done, in `results.json`; those of other settings are refused."""

    def __init__(self, folder: Path, asked: Part) -> None:
        self._path = folder / "results.json"
        self._found: Part = {"asked": asked, "parts": {}}
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._found = json.loads(self._path.read_text())
        if self._found["asked"] != asked:
            raise SystemExit(
                f"{self._path} is of {self._found['asked']}, and this is {asked}: "
                "give another --out, or remove that folder"
            )

    def part(self, name: str, measure: Callable[[], Part]) -> Part:
        """A part as it was kept, or measured now and kept."""
        parts = self._found["parts"]
        if name not in parts:
            parts[name] = measure()
            half_written = self._path.with_suffix(".part")
            half_written.write_text(json.dumps(self._found, indent=2) + "\n")
            half_written.replace(self._path)
        return dict(parts[name])


def main() -> int:
    """Trains and evaluates what is not done yet, and prints the table."""
    arguments = _arguments()
    data, out = arguments.data, arguments.out
    kept = Kept(out, _asked(arguments))

    def scores(name: str, checkpoint: str) -> Part:
        return kept.part(
            f"{name} scores", lambda: _scores(checkpoint, data, out / name, arguments.masks)
        )

    def cost(way: str) -> Part:
        return kept.part(f"{way} cost", lambda: _trained(way, data, out, arguments.steps))

    rows: list[tuple[str, Part, Part]] = [("starter", {}, scores("starter", "starter"))]
    rows += ((way, cost(way), scores(way, str(out / way / CHECKPOINT))) for way in WAYS)
    print("\n".join(_table(rows)))
    if arguments.smoke:
        smoke = kept.part("vit_b", lambda: _smoke(out, arguments.steps))
        print(
            f"\nViT-B at 1024 px, a picture a step: {smoke['seconds_per_step']:.1f} s a step, "
            f"{smoke['peak_mb']:.0f} MB"
        )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/finetuning"), help="folder of runs and results"
    )
    parser.add_argument("--steps", type=int, help="in place of what the configurations say")
    parser.add_argument("--masks", type=int, help="at most so many of a held-out set")
    parser.add_argument("--no-smoke", dest="smoke", action="store_false", help="without ViT-B")
    return parser.parse_args()


def _asked(arguments: argparse.Namespace) -> Part:
    """What decides the results: those of an edited configuration are others."""
    texts = [_config(name).read_bytes() for name in (*(f"finetune-{way}" for way in WAYS), SMOKE)]
    return {
        "starter": read_card("starter").model_id,
        "configurations": hashlib.sha256(b"".join(texts)).hexdigest()[:16],
        "steps": arguments.steps,
        "masks": arguments.masks,
    }


def _trained(way: str, data: Path, out: Path, steps: int | None) -> Part:
    settings = [f"data.sources.0.path={data / 'bbbc038/train.json'}"]
    return _cost_of(f"finetune-{way}", out / way, settings, steps)


def _config(name: str) -> Path:
    return Path(__file__).parents[1] / "configs" / f"{name}.yaml"


def _cost_of(config: str, run: Path, settings: list[str], steps: int | None) -> Part:
    # What a half-done training has cost is not known: it begins anew.
    shutil.rmtree(run, ignore_errors=True)
    if steps is not None:
        settings = [*settings, f"session.loop.steps={steps}", f"session.loop.plain_steps={steps}"]
    options = [word for setting in settings for word in ("--set", setting)]
    cost: Cost = run_command(["train", str(_config(config)), "--out", str(run), *options])
    return {
        "seconds": cost.seconds,
        "processor_seconds": cost.processor_seconds,
        "peak_mb": cost.peak_mb,
    }


def _scores(checkpoint: str, data: Path, folder: Path, masks: int | None) -> Part:
    """Mean IoU by clicks on both held-out sets."""
    limit = [] if masks is None else ["--max-masks", str(masks)]
    options = ["--max-per-image", "6", "--no-noc", "--clicks", ",".join(map(str, CLICKS)), *limit]
    scores: Part = {}
    for title, truth in TRUTHS.items():
        file = folder / f"{title}.json"
        asked = ["--checkpoint", checkpoint, "--truth", str(data / truth), "--json", str(file)]
        run_command(["evaluate", *asked, *options])
        scores[title] = json.loads(file.read_text())["miou"]
    return scores


def _smoke(out: Path, steps: int | None) -> Part:
    run = out / "vit-b-smoke"
    cost = _cost_of(SMOKE, run, [], steps)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    # The first step pays for everything that is done once.
    seconds = [line["seconds_per_step"] for line in lines[1:] or lines]
    return {**cost, "seconds_per_step": sum(seconds) / len(seconds)}


def _table(rows: list[tuple[str, Part, Part]]) -> list[str]:
    """As docs/starter.md has it."""
    columns = [(title, clicks) for title in TRUTHS for clicks in CLICKS]
    titles = [f"{title}, {clicks} click{'s' * (clicks > 1)}" for title, clicks in columns]
    head = ["", *titles, "seconds", "processor seconds", "memory, MB"]
    lines = [_row(head), "|---" * len(head) + "|"]
    for way, cost, scores in rows:
        reached = [f"{scores[title][str(clicks)]:.3f}" for title, clicks in columns]
        keys = ("seconds", "processor_seconds", "peak_mb")
        lines.append(_row([way, *reached, *(f"{cost[key]:.0f}" if cost else "" for key in keys)]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
