from __future__ import annotations

from pathlib import Path

import pytest

from model.checkpoint_names import checkpoint_path, named_checkpoints
from model.errors import CheckpointError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASK_ENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_names_are_the_packaged_one_and_the_official_ones(cache: Path) -> None:
    starter, *official = named_checkpoints()
    assert starter.name == "starter"
    assert [known.name for known in official] == ["sam_vit_b", "sam_vit_l", "sam_vit_h"]
    assert all(known.path.parent == cache and not known.available for known in official)


def test_without_a_setting_the_cache_is_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASK_ENGINE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert named_checkpoints()[1].path.parent == tmp_path / ".cache" / "mask-engine"


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint is called 'startr'.*starter, sam"):
        checkpoint_path("startr")


def test_names_that_were_not_fetched_say_how_to_fetch_them() -> None:
    with pytest.raises(CheckpointError, match="run `mask-engine checkpoints fetch sam_vit_b`"):
        checkpoint_path("sam_vit_b")


def test_an_installation_without_the_packaged_checkpoint_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.checkpoint_names._STARTER_PATH", tmp_path / "starter.safetensors")
    with pytest.raises(CheckpointError, match="is missing: install mask-engine again"):
        checkpoint_path("starter")


def test_a_cached_file_of_the_wrong_size_is_refused(cache: Path) -> None:
    cache.mkdir()
    (cache / "sam_vit_b_01ec64.pth").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="has 4 bytes, sam_vit_b has 375,042,383: delete it"):
        checkpoint_path("sam_vit_b")


def test_paths_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "some weights.safetensors"
    path.touch()
    assert checkpoint_path(path) == checkpoint_path(str(path)) == path


@pytest.mark.parametrize("given", ["none.pth", "folder/none", "none.safetensors"])
def test_missing_files_are_named(given: str) -> None:
    with pytest.raises(CheckpointError, match=f"there is no checkpoint file {given}"):
        checkpoint_path(given)


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a file"):
        checkpoint_path(tmp_path)
