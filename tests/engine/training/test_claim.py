from pathlib import Path

import pytest

from engine.training.claim import claim_folder


def test_two_processes_of_one_run_claim_its_folder_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.replace

    def overtaken(self: Path, target: Path) -> Path:
        """The other process comes and goes between the first one's writing and renaming."""
        monkeypatch.setattr(Path, "replace", rename)
        claim_folder(tmp_path, {"steps": 5}, what="run")
        return self.replace(target)

    monkeypatch.setattr(Path, "replace", overtaken)

    claim_folder(tmp_path, {"steps": 5}, what="run")

    assert [path.name for path in tmp_path.iterdir()] == ["configuration.json"]
