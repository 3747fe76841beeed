# One word each, and each sets up what it needs: a bare machine has python3 (3.11 or newer), make and a package registry.
# Bare `make` lists the targets; the text after `##` is the line that it shows.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
DIST ?= dist

# Some containers forbid Python to keep bytecode: then every process that a run, a server or a test starts compiles all of
# its modules, which takes longer than what most of them do.
unexport PYTHONDONTWRITEBYTECODE

# What has to be there before anything runs. A part with a build step of its own appends its stamp here and has the
# stamp depend on .venv/.stamp, which is made anew (and with it the whole environment) when a lock changes.
READY := .venv/.stamp

# The native engine. Its stamp is named after whether there is a Rust toolchain, so that one which appears is noticed.
NATIVE := .venv/.native-$(if $(shell command -v cargo 2>/dev/null),built,absent)
NATIVE_SOURCES := $(shell find native -name target -prune -o \( -name '*.rs' -o -name '*.toml' -o -name '*.py*' \
	-o -name Cargo.lock \) -print 2>/dev/null)
READY += $(NATIVE)

# The dashboard, for what shows it or packs it; the stamp is named after whether there is Node.js.
DASHBOARD := .venv/.dashboard-$(if $(shell command -v npm 2>/dev/null),built,absent)
DASHBOARD_SOURCES := $(shell find docs webapp/src webapp/static webapp/package-lock.json webapp/*.js webapp/*.ts -type f \
	2>/dev/null)

.PHONY: help setup demo serve test prove lint format bench build lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Make the environment in .venv (every target below does this by itself)

demo: $(READY) ## Run the quickstart test against the bundled target server
	@$(BIN)/atm demo

serve: $(READY) $(DASHBOARD) ## Serve the dashboard and the API (with options: make serve OPTIONS="--port 9000")
	@$(BIN)/atm serve $(OPTIONS)

test: $(READY) $(DASHBOARD) ## Run all tests
	@$(BIN)/python -m tools.suites

prove: $(READY) $(DASHBOARD) ## Run all tests at full counts; writes docs/proof/
	@$(BIN)/python -m tools.suites --prove

lint: $(READY) ## Check style, types, import arrows, generated files and locks
	@$(BIN)/python -m tools.lint

format: $(READY) ## Format the code, mend what can be mended, and write the generated files anew
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format --quiet
	@$(BIN)/python -m tools.generate

bench: $(READY) ## Run the benchmarks into benches/results/ (by name: bench-startup, bench-peers)
	@$(BIN)/python -m benches

bench-%: $(READY)
	@$(BIN)/python -m benches $*

build: $(READY) $(DASHBOARD) ## Build the dashboard, both wheels and the source archive into dist/
	@rm -rf $(DIST)
	@$(BIN)/python -m hatchling build -d $(DIST)
	@cp .venv/wheels/*.whl $(DIST)/ 2>/dev/null || echo "build: no native engine here, so no wheel of it"

lock: $(READY) ## Resolve the locks of requirements/ anew (newest: make lock UPGRADE=1)
	@sh tools/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove everything that was built, .venv included
	@rm -rf .venv build dist native/target src/atm/api/static webapp/node_modules webapp/.svelte-kit .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests tools benches -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: tools/setup.sh requirements/bootstrap.txt requirements/dev.txt pyproject.toml src/atm/version.py
	@sh tools/setup.sh "$(PYTHON)"

$(NATIVE): .venv/.stamp tools/native.sh $(NATIVE_SOURCES)
	@sh tools/native.sh $@

$(DASHBOARD): .venv/.stamp tools/dashboard.sh $(DASHBOARD_SOURCES)
	@sh tools/dashboard.sh $@
