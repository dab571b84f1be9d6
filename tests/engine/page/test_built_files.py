"""The built page belongs to its sources, and nothing in it points elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from engine.page.app import STATIC

WEB = Path(__file__).parents[3] / "web"
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


def test_the_runtime_is_whole():
    packed = STATIC / "runtime" / "ort-wasm-simd-threaded.wasm.gz"
    assert gzip.decompress(packed.read_bytes()).startswith(b"\0asm")


def test_the_first_load_stays_small():
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < 5_000_000
