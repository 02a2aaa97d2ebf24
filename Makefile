# Everything from a fresh clone, with Python 3.11 or newer and nothing else: `make up` runs Headwater, `make test` checks it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
FRONTEND := $(shell find web/frontend -name node_modules -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help up test test-spark lint format lock clean bench-transcode bench-codecs bench-pictures bench-sync bench-ladder bench-forecast bench-playable bench-origin bench-memory bench-sandbox bench-recommend bench-resume crash-points chaos simulate fuzz compose-test clients presentations
.DELETE_ON_ERROR:

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

up: $(VENV)/.up ## Run Headwater on this machine until Ctrl-C
	@exec $(BIN)/headwater up

test: $(VENV)/.test $(if $(HEADWATER_TEST_SPARK),$(VENV)/.spark) ## Everything that CI runs: style, types, layers, all tests
	@sh tests/run.sh

test-spark: $(VENV)/.test $(VENV)/.spark ## The Spark engine against the local trainer; installs PySpark (450 MB), and needs Java 17
	@HEADWATER_TEST_SPARK=1 $(BIN)/python -m pytest tests/integration/test_spark.py

lint: $(VENV)/.test ## Style, types and layers only
	@sh tests/run.sh lint

format: $(VENV)/.test ## Rewrite the code in the one style
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

bench-codecs: $(VENV)/.test ## Cost and quality of every encoder, on real clips, and the cost of each profile
	@$(BIN)/python -m bench.codecs

bench-transcode: $(VENV)/.test ## CPU of the pipeline against plain FFmpeg
	@$(BIN)/python -m bench.transcode

bench-playable: $(VENV)/.test ## Seconds from the last byte to the first frame, at any length
	@$(BIN)/python -m bench.playable

bench-ladder: $(VENV)/.test ## The whole ladder: cost, use of all cores, quality, other platforms' way, up to 64 workers
	@$(BIN)/python -m bench.ladder

bench-forecast: $(VENV)/.test ## The remaining time that is told against what came, in recorded runs (RECORD=name makes one first)
	@$(BIN)/python -m bench.forecast $(if $(RECORD),--record $(RECORD))

bench-pictures: $(VENV)/.test ## Poster and storyboard beside the ladder, in CPU seconds
	@$(BIN)/python -m bench.pictures

bench-sync: $(VENV)/.test ## Sound against picture at the start, middle and end of an hour, in every format
	@$(BIN)/python -m bench.sync

bench-origin: $(VENV)/.test ## The edge against plain nginx
	@$(BIN)/python -m bench.origin

bench-memory: $(VENV)/.test ## Peak memory of the API during a 2 GiB upload
	@$(BIN)/python -m bench.memory

bench-sandbox: $(VENV)/.test ## What the sandbox adds to one FFmpeg run
	@$(BIN)/python -m bench.sandbox

bench-recommend: $(VENV)/.test ## Training, ranking, pages of suggestions and events
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.recommend
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.recommend_serving

bench-resume: $(VENV)/.test ## 1,000 uploads resumed after the API was killed in the middle of them
	@$(BIN)/python -m bench.resume

crash-points: $(VENV)/.test ## Kill the pipeline at every commit and every store call, and see it recover
	@$(BIN)/python -m tests.crash

chaos: $(VENV)/.test ## 500 kills of every part while titles arrive: nothing lost, doubled, orphaned or changed (about 45 minutes)
	@$(BIN)/python -m bench.chaos

SEEDS ?= 100000
FROM ?= 0
simulate: $(VENV)/.test ## SEEDS=… seeded schedules of the whole pipeline, under every fault that can be thought of
	@$(BIN)/python -m tests.simulation.replay $(FROM) --schedules $(SEEDS)

fuzz: $(VENV)/.test ## 25 right and 25 wrong requests to every operation of the API, from its own document
	@HEADWATER_FUZZ_EXAMPLES=25 $(BIN)/python -m pytest --timeout 3600 tests/integration/test_api_fuzzed.py

clients: $(VENV)/.test ## Play HLS and DASH to the end in mpv, VLC, GStreamer, ffplay and FFmpeg, those that are installed
	@$(BIN)/python -m tests.clients

presentations: $(VENV)/.test ## Publish every clip of the tests through a whole stack and judge each presentation
	@$(BIN)/python -m tests.presentations

compose-test: $(VENV)/.test ## Build the image and try docker-compose.yml with podman
	@sh tests/compose/run.sh

lock: $(VENV)/.test ## Choose versions anew and write requirements/*.lock
	@sh requirements/lock.sh

clean: ## Remove what was built and downloaded; .headwater (your data) stays
	rm -rf $(VENV) web/static/dist web/frontend/node_modules dist build bench/out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache

# The environment. Each stamp is newer than what it was made from, so a second `make up` starts at once.

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Headwater needs Python 3.11 or newer as $(PYTHON): install it, or name another one with make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing: install it (Debian and Ubuntu: apt install python3-venv), then run make again." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) && touch $@

$(VENV)/.packages-up: requirements/local.lock | $(VENV)/.python
	@echo "Installing what Headwater needs into $(VENV) (once, about 350 MB)."
	@$(PIP) install --require-hashes -r $<
	@touch $@

$(VENV)/.packages-test: requirements/dev.lock | $(VENV)/.python
	@echo "Installing what Headwater and its tests need into $(VENV) (once, about 550 MB)."
	@$(PIP) install --require-hashes -r $<
	@touch $@ $(VENV)/.packages-up

$(VENV)/.spark: requirements/spark.lock | $(VENV)/.packages-test
	@echo "Installing PySpark into $(VENV) (once, about 450 MB)."
	@$(PIP) install --require-hashes -r $<
	@touch $@

# The install hook builds the pages' scripts and styles.
$(VENV)/.up: pyproject.toml $(FRONTEND) | $(VENV)/.packages-up
	@echo "Building the pages."
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The tests also need browser libraries that are not shipped: a strict playlist parser, a second player, the type checker.
$(VENV)/.test: $(VENV)/.packages-test web/frontend/package-lock.json | $(VENV)/.up
	@$(BIN)/python web/frontend/build_hook.py --dev
	@touch $@
