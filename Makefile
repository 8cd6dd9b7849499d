# Targets install what they need. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?=
ARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One environment for everything, from exact versions with hashes. It is made anew when the pins change.
$(VENV)/.installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: install
install: $(VENV)/.installed ## Install everything into .venv

.PHONY: run
run: install ## Build the farm (test-40) into the embedded PostgreSQL; PROFILE=tiny for another
	$(BIN)/aquamind build $(if $(PROFILE),--profile $(PROFILE)) $(ARGS)

.PHONY: test
test: install ## Run all tests but slow ones and those of the browser, two files at a time
	$(BIN)/pytest -n 2 $(ARGS)

.PHONY: test-fast
test-fast: install ## Run the unit tests: no server, no run, under a minute
	$(BIN)/pytest -n 2 tests/unit $(ARGS)

.PHONY: test-slow
test-slow: install ## Run the slow tests: whole farms, and the properties on many more of them
	$(BIN)/pytest -m slow --timeout 1800 $(ARGS)
	$(BIN)/pytest -n 2 --hypothesis-profile thorough --timeout 1800 $$(grep -rl --include='test_*.py' '@given' tests)

.PHONY: test-browser
test-browser: install ## Run the tests in a real browser (Debian's chromium)
	$(BIN)/pytest -m browser --timeout 600 $(ARGS)

.PHONY: test-system
test-system: install ## Run the tests that need Debian packages (pgbouncer, locales), root or another user
	$(BIN)/pytest -m system --timeout 600 $(ARGS)

.PHONY: renew
renew: install ## Write the generated files anew: digests, snapshot, lists of tables and checks
	WRITE_GOLDEN=1 $(BIN)/pytest -m generated $$(grep -rl --include='*.py' 'mark[.]generated' tests) $(ARGS)

.PHONY: pictures
pictures: install ## Make the guide's pictures of pages anew, by the tests in a browser
	WRITE_GOLDEN=1 $(BIN)/pytest -m browser --timeout 600 $(ARGS)

.PHONY: ui
ui: install ## Open Dagster's user interface on http://127.0.0.1:3000
	$(BIN)/aquamind ui $(ARGS)

.PHONY: db
db: install ## Start the embedded PostgreSQL and print how to connect
	$(BIN)/aquamind db start $(ARGS)

CONTAINER ?= podman
.PHONY: image
image: ## Build the container image, with podman or CONTAINER=docker
	$(CONTAINER) build -f deploy/Containerfile -t aquamind-pipeline:0.1.0 .

.PHONY: lint
lint: install ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: bench
bench: install ## Measure speed and memory, as ratios; ARGS="generate --profile test-40" for one
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-quick
bench-quick: install ## Compare a few ratios with those kept; ARGS=--write keeps the new ones
	$(BIN)/python -m benchmarks --quick $(ARGS)

.PHONY: realism
realism: install ## Build six farms and write the tables of docs/realism.md, which takes some minutes
	$(BIN)/python -m benchmarks.realism $(ARGS)

.PHONY: aquamind-schema
aquamind-schema: install ## Write AquaMind's schema for tests, from the CSV files SCHEMA=, CONSTRAINTS= and INDEXES=
	$(if $(and $(SCHEMA),$(CONSTRAINTS),$(INDEXES)),,$(error name the CSV files: make aquamind-schema SCHEMA=… CONSTRAINTS=… INDEXES=…))
	$(BIN)/python -m tests.tools.aquamind_schema "$(SCHEMA)" "$(CONSTRAINTS)" "$(INDEXES)" tests/data

# Root's server has its files elsewhere where nobody else may enter this folder.
CLUSTER = from pathlib import Path; from aquamind_pipeline.postgres.server import EmbeddedServer as S; print(S(Path("data")).folder)
STOP_SERVER = [ "$$(env -u AQUAMIND_DATABASE_URL $(BIN)/aquamind db stop --home data)" = stopped ] \
	|| { echo "somebody uses the embedded PostgreSQL in data/postgres: wait for them, or stop them"; exit 1; }; \
	rm -rf "$$($(BIN)/python -c '$(CLUSTER)')"

.PHONY: clean
clean: ## Stop the embedded PostgreSQL, delete the environment, all data and all caches
	@if [ -x $(BIN)/aquamind ] && [ -d data/postgres ]; then $(STOP_SERVER); fi
	rm -rf $(VENV) data .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
