# Everything installs into .venv; beside it only uv's and pip's caches and the state folder are written.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
ARCHIVE ?=
REPEAT ?= 10
N ?= 100000
MINUTES ?= 30
ROWS ?= 1000000
DATABASE ?= sqlite
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --fork-strategy fewest \
	--no-emit-package voxmood --custom-compile-command "make lock" --quiet

.PHONY: help setup run down test coverage test-fast client-test test-full faults fuzz soak check format bench bench-short bench-clip bench-flow bench-rows bench-peer encoder detector lock release clean

help:  ## the targets, a line each
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready  ## install the locked packages into .venv

$(VENV)/.ready: requirements/uv.lock requirements/dev.lock pyproject.toml client/pyproject.toml infra/setup.sh
	@sh infra/setup.sh $(VENV)

run: setup  ## start the stack, classify ARCHIVE (or a demonstration archive), show the results
	@sh infra/run.sh $(BIN) "$(ARCHIVE)"

down: setup  ## stop the stack that `make run` left running
	@$(BIN)/voxmood down

test: setup  ## the tests, on real servers (unit, integration, acceptance, faults)
	@sh infra/test.sh $(BIN) -m "not long"

coverage: setup  ## the same, and which lines they run: build/coverage/index.html; a tenth more of processors
	@COVERAGE=1 sh infra/test.sh $(BIN) -m "not long"

test-fast: setup  ## the unit tests alone, in about a minute
	@$(BIN)/python -m pytest -m "not long and not slow" tests/unit client/tests/unit

client-test: setup  ## the client's own tests, in a virtual environment without the server, against a real one
	@sh infra/client_test.sh $(BIN) build/client

test-full: setup  ## the same with the long forms (3 GB, three hours, 1 GB resumed), and stacks on PostgreSQL too
	@sh infra/test.sh $(BIN)
	@VOXMOOD_TEST_DATABASE=postgresql $(BIN)/python -m pytest tests/acceptance tests/faults

fuzz: setup  ## read N=100000 mutated recordings and archives; findings go to build/fuzz
	@$(BIN)/python -m tests.fuzz --inputs $(N)

faults: setup  ## REPEAT=10 runs of the fault ring's short list, each with a new seed; stops at the first failure
	@sh infra/faults.sh $(BIN) $(REPEAT)

check: setup  ## format, lint, types, layers, container files
	@sh infra/check.sh $(BIN)

soak: setup  ## MINUTES=30 of kills under load, DATABASE=sqlite or postgresql; writes docs/reports/soak.md
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) --database $(DATABASE)

format: setup  ## let ruff format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: setup  ## all that is promised of speed and memory, in an hour; writes docs/reports/bench; GO_ON=1 after a break
	@$(BIN)/python -m benchmarks $(if $(GO_ON),--go-on)

bench-short: setup  ## its ratios in minutes, for CI: fails where one is a third worse than it must be
	@$(BIN)/python -m benchmarks --short

bench-clip: setup  ## what a clip costs: the seed's way against ours, stage by stage
	@$(BIN)/python -m benchmarks.clip

bench-flow: setup  ## a job through the whole stack against the same clips in memory; latencies and memory
	@$(BIN)/python -m benchmarks.flow

bench-rows: setup  ## status, pages and export of a job of ROWS=1000000 rows, on SQLite and PostgreSQL
	@$(BIN)/python -m benchmarks.rows --rows $(ROWS)

bench-peer: setup  ## a clip by ours against wav2vec2-base with random weights; installs 1.2 GB into build/peer
	@sh infra/peer.sh $(BIN) build/peer
	@$(BIN)/python -m benchmarks.peer

encoder: setup  ## make the encoder that ships anew, in build/encoder, and compare it; downloads 150 MB
	@sh infra/artefact.sh $(BIN) encoder whisper-base-4 build/encoder

detector: setup  ## make the voice detector that ships anew, in build/detector, and compare it; downloads 5 MB
	@sh infra/artefact.sh $(BIN) detector silero-vad-6.2 build/detector

lock: $(VENV)/.ready  ## resolve the dependencies anew
	@$(LOCK) --extra stack --extra train --extra page --extra dev pyproject.toml -o requirements/dev.lock
	@$(LOCK) --constraint requirements/dev.lock --extra train --extra page --extra av pyproject.toml -o requirements/runtime.lock
	@$(LOCK) --constraint requirements/dev.lock client/pyproject.toml -o requirements/client.lock
	@$(LOCK) --constraint requirements/dev.lock --all-extras client/pyproject.toml -o requirements/client-test.lock
	@for kind in encoder detector; do \
		$(BIN)/python -c "import sys, tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'][sys.argv[1]], sep='\\n')" $$kind \
			| $(LOCK) --no-deps - -o requirements/$$kind.lock; \
	done
	@echo uv | $(LOCK) --constraint requirements/dev.lock - -o requirements/uv.lock

release: setup  ## VERSION=0.2.0: version, changelog, commit and tag; prints the notes
	@$(BIN)/python infra/release.py $(VERSION)

clean:  ## remove what `make` built (not the state folder)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
