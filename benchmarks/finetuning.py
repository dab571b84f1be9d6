"""The starter taught nuclei in three ways, and a few steps of the official architecture.

    python benchmarks/finetuning.py [--data data] [--out runs/finetuning] [--json FILE]

`configs/finetune-{decoder,lora,full}.yaml` as they stand, then evaluation by clicks on held-out
nuclei, and on everyday photos to see what was unlearned. `--data` is the folder that holds
`bbbc038/` and `coco_clean/` (docs/starter.md). Then `configs/train-vit-b-smoke.yaml`: ViT-B from
random weights at 1024 px, for its memory and seconds a step; `--no-smoke` leaves it out.

Seconds are the processor's, of one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from command import run_command

WAYS: Final = ("decoder", "lora", "full")
ONE_THREAD: Final = ("--set", "threads=1")
"""So that processor seconds mean the same on a busy machine and on an idle one."""
TRUTHS: Final = {"nuclei": "bbbc038/dev.json", "everyday": "coco_clean/dev.json"}


def main() -> int:
    """Trains and evaluates; trainings that are done already are not run again."""
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [{"way": "starter", **_scores("starter", arguments.data, arguments.out, "starter")}]
    _tell(rows[-1])
    for way in WAYS:
        rows.append(_fine_tuned(way, arguments.data, arguments.out))
        _tell(rows[-1])
    result: dict[str, Any] = {"fine_tuning": rows}
    if arguments.smoke:
        result["vit_b"] = _smoke(arguments.out)
        print(
            f"ViT-B at 1024 px: {result['vit_b']['seconds_per_step']:.1f} s a step, "
            f"{result['vit_b']['peak_mb']:.0f} MB"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/finetuning"), help="folder of the runs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    parser.add_argument("--no-smoke", dest="smoke", action="store_false", help="without ViT-B")
    return parser.parse_args()


def _fine_tuned(way: str, data: Path, out: Path) -> dict[str, Any]:
    run, kept = out / way, out / f"{way}.cost.json"
    if not kept.exists():
        source = f"data.sources.0.path={data / 'bbbc038/train.json'}"
        config = f"configs/finetune-{way}.yaml"
        settings = ["--set", source, *ONE_THREAD]
        cost = run_command(["train", config, "--out", str(run), *settings])
        kept.write_text(json.dumps(asdict(cost)))
    return {
        "way": way,
        **json.loads(kept.read_text()),
        **_scores(str(run / "checkpoint.safetensors"), data, out, way),
    }


def _scores(checkpoint: str, data: Path, out: Path, name: str) -> dict[str, float]:
    """Mean IoU after one and three clicks on both held-out sets."""
    scores = {}
    for title, truth in TRUTHS.items():
        file = out / f"{name}.{title}.json"
        options = ["--max-per-image", "6", "--no-noc", "--clicks", "1,3", "--json", str(file)]
        run_command(
            ["evaluate", "--checkpoint", checkpoint, "--truth", str(data / truth), *options]
        )
        miou = json.loads(file.read_text())["miou"]
        scores.update({f"{title}_{clicks}": miou[clicks] for clicks in ("1", "3")})
    return scores


def _smoke(out: Path) -> dict[str, float]:
    run = out / "vit-b-smoke"
    cost = run_command(["train", "configs/train-vit-b-smoke.yaml", "--out", str(run), *ONE_THREAD])
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    # The first step pays for everything that is done once.
    seconds = [line["seconds_per_step"] for line in lines[1:]]
    return {"peak_mb": cost.peak_mb, "seconds_per_step": sum(seconds) / len(seconds)}


def _tell(row: dict[str, Any]) -> None:
    cost = " " * 19
    if "peak_mb" in row:
        cost = f"{row['processor_seconds']:6.0f} s {row['peak_mb']:6.0f} MB"
    scores = "  ".join(f"{key} {row[key]:.3f}" for key in row if key[-1:].isdigit())
    print(f"{row['way']:8} {cost}  {scores}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
