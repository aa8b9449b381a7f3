# `make help` lists the targets. Works with GNU make 3.81 and later, with uv or with pip alone.

PYTHON ?= python3
WORKERS ?= 2
# Only wheels, so that nothing unpinned is fetched to build one. A platform without them can say `make WHEELS=`.
WHEELS ?= --only-binary=:all:
# More arguments for the command a target runs: make demo ARGS='--seed 7'; make test ARGS='-k frost'
ARGS ?=

BIN := .venv/bin
export PYTHON WHEELS

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo demo-council test lint format bench faults fuzz leakage interop generate lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1|/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

setup: ## make .venv with what vetonet needs to run
	@.ci/install core

setup-dev: ## the same, with what its checks need
	@.ci/install dev
	@.ci/install-tpm

demo: setup ## run the main job: treaty, vote, licence, chips, verdict
	@$(BIN)/vetonet demo $(ARGS)

demo-council: setup ## run a council of fifteen processes: founding, votes, kills, new members, a repair
	@$(BIN)/vetonet demo-council $(ARGS)

test: setup-dev ## run every check, the tests last
	@$(BIN)/python .ci/checks.py --workers $(WORKERS) -- $(ARGS)

lint: setup-dev ## run every check but the tests
	@$(BIN)/python .ci/checks.py --lint-only

format: setup-dev ## format Python and proto files in place
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix-only --quiet . && $(BIN)/buf format --write

bench: setup-dev ## run the benchmarks
	@$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-timer=time.process_time -p no:xdist $(ARGS)

faults: setup-dev ## fail or kill every system call of an append and of a witness update (needs strace)
	@VETONET_FAULTS=whole $(BIN)/python -m pytest tests/integration/test_fault_sweep.py -p no:xdist -s $(ARGS)

fuzz: setup-dev ## dig into a group of parsers, guided by coverage: make fuzz ARGS='cose --seconds 600'
	@.ci/install-fuzz
	@.fuzz/bin/python tests/fuzz/guided.py $(ARGS)

leakage: setup-dev ## let a distinguisher look for what a thousand pairs of bundles give away
	@VETONET_LEAKAGE_PAIRS=1000 $(BIN)/python -m pytest tests/leakage/test_pairs.py -p no:xdist -s $(ARGS)

interop: setup-dev ## install other people's implementations and let them judge ours
	@.ci/install-interop
	@$(BIN)/python -m pytest -p no:xdist tests/integration/test_interop_*.py $(ARGS)

generate: setup-dev ## write src/vetonet/v1 from proto/
	@$(BIN)/python .ci/generate.py

lock: ## resolve requirements/*.txt anew (needs uv)
	@.ci/lock

clean: ## remove .venv, .interop, caches and build results
	rm -rf .venv .interop .fuzz .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks build dist
	find src tests benchmarks simulations .ci -name __pycache__ -type d -prune -exec rm -rf {} +
