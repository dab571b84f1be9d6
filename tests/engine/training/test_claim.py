from pathlib import Path

import pytest

from engine.training.claim import claim_folder, renew_claim
from model.errors import ConfigurationError


def test_a_refusal_names_keys_down_to_what_differs(tmp_path: Path) -> None:
    begun = {"loop": {"seed": 1, "rate": 0.1}, "sources": [{"path": "a"}, {"path": "b"}]}
    claim_folder(tmp_path, begun, what="run")
    other = {"loop": {"seed": 2, "rate": 0.2}, "sources": [{"path": "a"}, {"path": "c"}]}
    with pytest.raises(
        ConfigurationError,
        match=r"\(loop\.seed, sources\.1\.path differ\).*\(only loop\.rate may change\)",
    ):
        claim_folder(tmp_path, other, what="run", may_change=["loop.rate"])
    with pytest.raises(ConfigurationError, match=r"\(sources differ\)"):
        claim_folder(tmp_path, begun | {"sources": [{"path": "a"}]}, what="run")


def test_what_may_change_is_told_and_written_down_when_it_is_taken_up(tmp_path: Path) -> None:
    claim_folder(tmp_path, {"loop": {"rate": 0.1}}, what="run")
    for _ in range(2):  # another process of the run sees the same
        changes = claim_folder(
            tmp_path, {"loop": {"rate": 0.2}}, what="run", may_change=["loop.rate"]
        )
        assert changes == {"loop.rate": (0.1, 0.2)}
    renew_claim(tmp_path, {"loop": {"rate": 0.2}})
    assert claim_folder(tmp_path, {"loop": {"rate": 0.2}}, what="run") == {}


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
