# Everything that one does in this repository. `make` alone lists it.

VENV := .venv
BIN := $(VENV)/bin
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick test-easyocr lint format check wheels bench-engine bench-web bench-inpaint bench-uploads constraints clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with vtid in it (PYTHON=… chooses the interpreter); nothing where nothing changed
	@scripts/setup

demo: setup ## Draw a clip with subtitles, remove them over HTTP, verify the result
	@$(BIN)/vtid demo

test: setup ## Run every test
	@$(BIN)/python -m pytest

test-quick: setup ## Run the tests that take no more than moments
	@$(BIN)/python -m pytest -m "not slow"

test-easyocr: setup ## Run EasyOCR's own code, in an environment of its own (downloads PyTorch for CPUs)
	@scripts/test-easyocr

lint: setup ## Style and types: ruff and mypy
	@failed=0; \
	$(BIN)/ruff check || failed=1; \
	$(BIN)/ruff format --check || failed=1; \
	$(BIN)/mypy || failed=1; \
	exit $$failed

format: setup ## Have ruff format and mend what it can
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

check: lint test ## Both

wheels: setup ## Build the wheel into dist/; it holds the four plugins and the shipped pipelines
	@$(BIN)/python -m hatchling build --target wheel --directory dist

bench-engine: setup ## Measure the engine: a job against a bare queue task, memory at rest, time to start
	@$(BIN)/python benchmarks/engine/run.py

bench-web: setup ## Measure the HTTP side: a job against a bare route, submits, lists of a million jobs (ARGS="--help")
	@$(BIN)/python -m benchmarks.web.run $(ARGS)

bench-inpaint: setup ## Measure text removal: quality, speed and memory (ARGS="--quick": a clip of each kind; "--help")
	@$(BIN)/python -m benchmarks.inpaint $(ARGS)

bench-uploads: setup ## Measure uploads: throughput beside a bare ASGI app, memory at 2 GB (ARGS="--mb 128 --rounds 3")
	@$(BIN)/python benchmarks/uploads/run.py $(ARGS)

constraints: ## Choose the versions in constraints.txt anew (needs Python 3.11, 3.12 and 3.13)
	@python3 scripts/constraints.py

clean: ## Remove what was made here: .venv, caches, dist, demo-out; never data/
	@rm -rf $(VENV) .venv-easyocr dist build demo-out .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
