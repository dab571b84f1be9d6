"""The built page belongs to its sources, and nothing in it points elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from engine.page.app import STATIC

WEB = Path(__file__).parents[3] / "web"
BUILDS = ("ort-wasm-simd-threaded", "ort-wasm-simd-threaded.jspi")
REBUILD = "the built page is older than its sources: run `make page` and commit what changes"


def test_the_built_page_belongs_to_the_sources():
    if not WEB.is_dir():
        pytest.skip("an installed package has no sources of the page")
    files = [*(WEB / "src").rglob("*"), WEB / "index.html", WEB / "vite.config.ts"]
    files.append(WEB / "package-lock.json")
    digest = hashlib.sha256()
    for path in sorted(p.relative_to(WEB).as_posix() for p in files if p.is_file()):
        digest.update(path.encode() + b"\0" + (WEB / path).read_bytes() + b"\0")
    assert (STATIC / "sources.sha256").read_text().strip() == digest.hexdigest(), REBUILD


def test_the_lock_file_names_no_registry():
    if not WEB.is_dir():
        pytest.skip("an installed package has no sources of the page")
    assert "http" not in re.sub(r'"url": "[^"]*"', "", (WEB / "package-lock.json").read_text())


@pytest.mark.parametrize("build", BUILDS)
def test_the_runtime_is_whole(build):
    packed = STATIC / "runtime" / f"{build}.wasm.gz"
    assert gzip.decompress(packed.read_bytes()).startswith(b"\0asm")


@pytest.mark.parametrize("build", BUILDS)
def test_the_first_load_stays_small(build):
    """A browser loads one build of the runtime, not both."""
    loaded = [path for path in STATIC.rglob("*") if path.is_file()]
    loaded = [path for path in loaded if _build_of(path) in (None, build)]
    assert sum(path.stat().st_size for path in loaded) < 5_000_000


def _build_of(path: Path) -> str | None:
    name = path.name.removesuffix(".gz").removesuffix(".wasm").removesuffix(".mjs")
    return name if name in BUILDS else None
