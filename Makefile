# Everything that one does in this repository. `make` alone lists it.

VENV := .venv
BIN := $(VENV)/bin
export PYTHONUTF8 := 1
# Whoever has told Python to keep no byte code would have each of the many processes of a test compile vtid anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick test-easyocr lint format check wheels bench-engine bench-web bench-inpaint bench-uploads bench-watch constraints clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with vtid in it (PYTHON=… chooses the interpreter); nothing where nothing changed
	@scripts/setup

demo: setup ## Draw a clip with subtitles, remove them over HTTP, verify the result
	@$(BIN)/vtid demo

# As many processes as there are cores. Neighbours stay together, because they share daemons, until one process has nothing
# left to do: it takes over half of what another one has before it.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --dist worksteal

test: setup ## Run every test
	@$(PYTEST)

test-quick: setup ## Run the tests that take no more than moments
	@$(PYTEST) -m "not slow"

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

wheels: setup ## Build the wheel into dist/; it holds the plugins and the shipped pipelines
	@$(BIN)/python -m hatchling build --target wheel --directory dist

bench-engine: setup ## Measure the engine: a job against a bare queue task, memory at rest, time to start
	@$(BIN)/python benchmarks/engine/run.py

bench-web: setup ## Measure the HTTP side: a job against a bare route, submits, lists of a million jobs (ARGS="--help")
	@$(BIN)/python -m benchmarks.web.run $(ARGS)

bench-inpaint: setup ## Measure text removal: quality, speed and memory (ARGS="--quick": a clip of each kind; "--help")
	@$(BIN)/python -m benchmarks.inpaint $(ARGS)

bench-uploads: setup ## Measure uploads: throughput beside a bare ASGI app, memory at 2 GB (ARGS="--mb 128 --rounds 3")
	@$(BIN)/python benchmarks/uploads/run.py $(ARGS)

bench-watch: setup ## Kill a daemon with a hot folder again and again; time from settled to started (ARGS="--count 300")
	@$(BIN)/python benchmarks/watch/run.py $(ARGS)

bench-compose: setup ## Measure composing beside FFmpeg's command line (needs imageio-ffmpeg; ARGS="--smart", "--long", "--moviepy")
	@$(BIN)/python -m benchmarks.compose $(ARGS)

constraints: ## Choose the versions in constraints.txt anew (needs Python 3.11, 3.12 and 3.13)
	@python3 scripts/constraints.py

clean: ## Remove what was made here: .venv, caches, dist, demo-out; never data/
	@rm -rf $(VENV) .venv-easyocr dist build demo-out .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
