"""The engines and data sets in `configs/` load, and their plans are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rounds_rehearsal import toy_of
from engine.configuration import read_yaml
from engine.datasets.settings import read_dataset_settings
from engine.quality.sending import read_audit_settings
from engine.rounds.recipe import RoundTraining
from engine.rounds.settings import read_engine
from engine.rounds.status import engine_status, plan_lines
from model.errors import ConfigurationError
from tests.engine.rounds.engines import make_data, settings_of

CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_demo_has_every_stage() -> None:
    engine = read_engine(str(CONFIGS / "engine-demo.yaml"))

    assert [its.stage for its in engine.flat_rounds()] == [
        "assisted_manual",
        "semi_automatic",
        "automatic",
    ]
    assert plan_lines(engine)[-2].startswith("3 rounds, 14 photos, 36 steps")


@pytest.mark.parametrize("name", ["rounds.yaml", "rounds-coco.yaml"])
def test_the_experiment_is_the_one_that_its_page_describes(name: str) -> None:
    engine = read_engine(str(CONFIGS / "experiments" / name))
    stages = [its.stage for its in engine.flat_rounds()]

    assert stages.count("assisted_manual") >= 3
    assert stages.count("semi_automatic") >= 2
    assert stages[-1] == "automatic"
    assert engine.controls
    assert engine.first is not None
    assert {source.kind for source in engine.first.data.sources} == {"procedural"}
    assert (engine.held_out.masks, engine.held_out.most_clicks) == (300, 20)
    assert (engine.held_out.photos or 20) >= 20
    rounds = engine.train.configuration(data="d", start="tiny", seed=0, threads=1, device="cpu")
    assert rounds.session.loop.rounds.frame_px == 512
    assert toy_of(dict(read_yaml(str(CONFIGS / "experiments" / name)))).train.steps == 2


def test_the_data_set_of_the_demo_loads() -> None:
    settings = read_dataset_settings(str(CONFIGS / "dataset-demo.yaml"))

    assert (CONFIGS.parent / settings.engine).exists()


@pytest.mark.parametrize("mode", ["full", "decoder", "cached", "low_rank"])
def test_every_mode_of_retraining_is_a_configuration_of_train(mode: str) -> None:
    training = RoundTraining.model_validate({"mode": mode, "steps": 7, "procedural_weight": 0.5})

    made = training.configuration(data="data", start="tiny", seed=3, threads=1, device="cpu")

    assert (made.session.loop.steps, made.session.loop.seed, made.data.seed) == (7, 3, 3)
    assert ("image_encoder" in made.session.frozen) == (mode in ("decoder", "cached"))
    assert (made.session.low_rank > 0) == (mode == "low_rank")
    assert made.session.cache_embeddings == (mode == "cached")
    assert [source.kind for source in made.data.sources] == ["stream", "procedural"]


def test_where_an_audit_goes_loads() -> None:
    assert read_audit_settings(str(CONFIGS / "audit-demo.yaml")).shows_outlines


def test_a_wrong_recipe_or_preset_is_refused_before_any_work(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", pool=1, held_out=1)
    out = tmp_path / "out"

    with pytest.raises(ConfigurationError, match=r"train\.recipe: unknown key 'data\.side'"):
        settings_of(data, out, train={"recipe": {"data": {"side": 64}}})
    with pytest.raises(ConfigurationError, match=r"no preset is called 'fsat'"):
        settings_of(data, out, held_out={"truth": "held-out.json", "preset": "fsat"})
    with pytest.raises(ConfigurationError, match=r"people\.truth has to name a COCO file"):
        settings_of(data, out, people={"kind": "simulated"})
    with pytest.raises(ConfigurationError, match=r"unknown key 'rounds\.0\.stge'|stge"):
        settings_of(data, out, rounds=[{"stge": "automatic", "photos": {"count": 1}}])


def test_status_looks_where_the_settings_say(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path}/mine: no engine was run.*--set"):
        engine_status(str(CONFIGS / "engine-demo.yaml"), [f"out={tmp_path}/mine"])
