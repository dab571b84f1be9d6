# Everything a person needs: set-up is part of every target, in an environment of its own (.venv).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LABEL_STUDIO := .venv-label-studio
PIP := $(BIN)/pip --disable-pip-version-check
DEMO_STUDIO := runs/demo-label-studio
DEMO_PORT ?= 8085

.PHONY: help demo demo-engine page try label-studio chromium test test-all check lint types contracts bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "mask-engine needs Python 3.11 to 3.13, this is %d.%d: use make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.core

demo: $(VENV)/.core  ## automatic masks of examples/photos, and a page to look at
	$(BIN)/mask-engine auto examples/photos --out runs/demo --preset fast
	$(BIN)/mask-engine report runs/demo

$(VENV)/.page: $(VENV)/.core
	$(PIP) install --quiet -c constraints.txt -e '.[page]'
	@touch $@

try: $(VENV)/.page  ## masks under the pointer, in your browser
	$(BIN)/mask-engine demo examples/photos --open

page:  ## build the page again from web/ (needs Node 20; nobody else does)
	cd web && npm ci --no-audit --no-fund && npm run build

$(VENV)/.train: $(VENV)/.core
	$(PIP) install --quiet -c constraints.txt -e '.[train]'
	@touch $@

# Label Studio pins what does not fit beside this project, so it has an environment of its own.
$(LABEL_STUDIO)/.ready: engine/label_studio/server-requirements.txt
	$(PYTHON) -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/pip --disable-pip-version-check install --quiet -r $<
	@touch $@

$(VENV)/.label-studio: $(VENV)/.core
	$(PIP) install --quiet -c constraints.txt -e '.[label-studio,serve]'
	@touch $@

# A Label Studio of the demo's own, on this machine only, stopped when the demo ends.
demo-engine: $(VENV)/.train $(VENV)/.label-studio $(LABEL_STUDIO)/.ready  ## every round of the engine on drawn photos, in Label Studio
	$(BIN)/python examples/draw_photos.py runs/demo-engine-data
	trap '$(BIN)/mask-engine label-studio down --home $(DEMO_STUDIO)' EXIT && \
	  $(BIN)/mask-engine label-studio up --home $(DEMO_STUDIO) --port $(DEMO_PORT) && \
	  MASK_ENGINE_LABEL_STUDIO_HOME=$(DEMO_STUDIO) $(BIN)/mask-engine run configs/engine-demo.yaml
	$(BIN)/python benchmarks/rounds_report.py configs/engine-demo.yaml

label-studio: $(VENV)/.label-studio $(LABEL_STUDIO)/.ready  ## a Label Studio of your own, on this machine only
	$(BIN)/mask-engine label-studio up

chromium:  # for the browser tests; without it they say so
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  apt-get update -qq && apt-get install -y -qq chromium; } || true

test: $(VENV)/.dev  ## the default tests: offline, a few minutes
	$(BIN)/python -m pytest

test-all: $(VENV)/.dev $(LABEL_STUDIO)/.ready chromium  ## every tier; one that cannot run here says why
	$(BIN)/python -m pytest -m ''

check: lint types contracts  ## what pre-commit and CI check besides the tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## the measurements that docs/ quotes
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/backend.py
	$(BIN)/python benchmarks/automatic.py
	$(BIN)/python benchmarks/large_photos.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/half_weights.py
	if [ -d web/node_modules ]; then $(BIN)/python benchmarks/browser.py; fi

clean:  ## remove the environment and what runs left (not runs/)
	rm -rf $(VENV) $(LABEL_STUDIO) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
