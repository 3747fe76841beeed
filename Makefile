# Every target first sets up what it needs; the machine must have python3 (3.11 or newer), make and a package registry.
# `make` alone lists the targets, with the text after `##`.

.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
DIST ?= dist

# Some containers set this, and then every server, recorder, runner and test process compiles all its modules from source.
unexport PYTHONDONTWRITEBYTECODE

# Stamps of everything that must be built before a target runs. A part with its own build step appends its stamp, which
# depends on .venv/.stamp. When a lock changes, .venv/.stamp and the whole environment are rebuilt.
READY := .venv/.stamp

# The native engine. The name of its stamp depends on the presence of cargo, so installing Rust later triggers the build.
NATIVE := .venv/.native-$(if $(shell command -v cargo 2>/dev/null),built,absent)
NATIVE_SOURCES := $(shell find native -name target -prune -o \( -name '*.rs' -o -name '*.toml' -o -name '*.py*' \
	-o -name Cargo.lock \) -print 2>/dev/null)
READY += $(NATIVE)

# The dashboard, for the targets that check, serve or package it. The name of its stamp depends on the presence of npm.
DASHBOARD := .venv/.dashboard-$(if $(shell command -v npm 2>/dev/null),built,absent)
DASHBOARD_SOURCES := $(shell find docs webapp/src webapp/static webapp/package-lock.json webapp/*.js webapp/*.ts -type f \
	2>/dev/null)

# Ray, for the targets that run tests. Set-up installs no more than the locks of requirements/dev.txt, which removes it.
RAY := .venv/.ray-installed

.PHONY: help setup demo serve test prove lint format bench build audit lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Set up .venv (all targets below do this first)

demo: $(READY) ## Run the quickstart test against the bundled target server
	@$(BIN)/atm demo

serve: $(READY) $(DASHBOARD) ## Serve the dashboard and the API (with options: make serve OPTIONS="--port 9000")
	@$(BIN)/atm serve $(OPTIONS)

test: $(READY) $(DASHBOARD) $(RAY) ## Run all tests
	@$(BIN)/python -m tools.suites

prove: $(READY) $(DASHBOARD) $(RAY) ## Run all tests at full counts; writes docs/proof/
	@$(BIN)/python -m tools.suites --prove

lint: $(READY) $(DASHBOARD) ## Check style, types, imports, generated files, locks and wording
	@$(BIN)/python -m tools.lint

format: $(READY) ## Format the code, apply automatic fixes, regenerate the generated files
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
	@cp .venv/wheels/*.whl $(DIST)/ 2>/dev/null || echo "build: no native engine on this machine, so no wheel for it"
	@$(BIN)/python -m tools.sbom $(DIST)/sbom.cdx.json

audit: $(READY) ## Compare the locked packages with known advisories (needs the network)
	@$(BIN)/python -m tools.audit

lock: $(READY) ## Resolve the locks of requirements/ (to the latest versions: make lock UPGRADE=1)
	@sh tools/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove all build output, .venv included
	@rm -rf .venv build dist native/target src/atm/api/static webapp/node_modules webapp/.svelte-kit .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests tools benches -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: tools/setup.sh requirements/bootstrap.txt requirements/dev.txt pyproject.toml src/atm/version.py
	@sh tools/setup.sh "$(PYTHON)"

$(NATIVE): .venv/.stamp tools/native.sh $(NATIVE_SOURCES)
	@sh tools/native.sh $@

$(RAY): .venv/.stamp tools/ray.sh requirements/ray.txt
	@sh tools/ray.sh $@

$(DASHBOARD): .venv/.stamp tools/dashboard.sh $(DASHBOARD_SOURCES)
	@sh tools/dashboard.sh $@
