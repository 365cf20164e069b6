# Needs Python 3.11 or newer and make; everything else is fetched, locked by hash, into .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv/bin/python
MANAGE := DATA_DIR=.data-test EMBEDDED_DURABLE=0 $(VENV) manage.py
# What a deployment sets, for what reads the settings and connects to nothing.
PRODUCTION = ENVIRONMENT=production SECRET_KEY=$$($(VENV) -c 'import secrets; print(secrets.token_urlsafe(64))') \
	ENCRYPTION_KEYS=1:$$($(VENV) -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())') \
	ALLOWED_HOSTS=alliantra.example DATABASE_URL=postgresql://alliantra@db.example/alliantra REDIS_URL=redis://redis.example/0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test check bench fuzz soak lock clean install install-dev

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.base ## Run the product: PORT=8000 HOST=127.0.0.1 DATA_DIR=.data DEMO=1
	@$(VENV) -m alliantra.supervisor

test: .venv/.dev ## Run the tests: ARGS="tests/rules -k tiers" for some of them
	@EMBEDDED_DURABLE=0 $(VENV) -m pytest $(ARGS)

check: .venv/.dev ## Run every check, then the tests; stops at the first that fails
	@echo "== Lint" && $(VENV) -m ruff check .
	@echo "== Format" && $(VENV) -m ruff format --check .
	@echo "== Types" && $(PRODUCTION) $(VENV) -m mypy .
	@echo "== Layers" && $(VENV) -c "from importlinter.cli import lint_imports_command as run; run()"
	@echo "== Migrations" && $(MANAGE) makemigrations --check --dry-run
	@echo "== Deployment settings" && $(PRODUCTION) $(MANAGE) check --deploy --fail-level WARNING
	@echo "== OpenAPI snapshot" && $(MANAGE) openapi --check
	@echo "== Tests" && $(MAKE) --no-print-directory test

bench: .venv/.dev ## Run the benchmarks, or ARGS="ingestion calculation" of them
	@$(VENV) -m tests.benchmarks $(ARGS)

install: .venv/.base ## Install what running needs

install-dev: .venv/.dev ## Install what testing and checking need

fuzz: .venv/.dev ## Send both surfaces many requests made from their documents: ARGS="--surface v1 --examples 1000 --path reports"
	@$(VENV) -m tests.fuzzing $(ARGS)

COMPILER = $(shell command -v uv >/dev/null && echo "uv pip compile --universal --python-version 3.11" \
	|| echo "$(PYTHON) -m piptools compile --strip-extras")
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" CUSTOM_COMPILE_COMMAND="make lock" $(COMPILER) pyproject.toml --quiet --generate-hashes \
	--no-emit-index-url --no-emit-find-links $(ARGS)

soak: .venv/.dev ## Run what kills processes and the longest properties in their full form
	@SOAK=1 $(MAKE) --no-print-directory test ARGS='-m "reliability or soak" -n0 -s'

lock: ## Lock the dependencies by hash: ARGS=--upgrade for newer ones
	@$(COMPILE) -o requirements/base.txt
	@$(COMPILE) --extra dev -c requirements/base.txt -o requirements/dev.txt

clean: ## Remove the virtual environment and caches; the data in .data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage htmlcov

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(VENV) || echo "Creating .venv with $$($(PYTHON) --version)"
	@test -x $(VENV) || $(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "The virtual environment could not be created (on Debian and Ubuntu: apt-get install python3-venv)."; exit 1; }
	@touch $@

.venv/.base: requirements/base.txt | .venv/.python
	@$(INSTALL)
	@touch $@

.venv/.dev: requirements/dev.txt | .venv/.python
	@$(INSTALL)
	@touch $@ .venv/.base

# One short line per package; pip's own account of a failure in full.
define INSTALL
echo "Installing $< (a minute or two the first time)"
set -o pipefail; $(VENV) -m pip install --no-input --progress-bar off --require-hashes -r $< \
	| sed -n -e 's/^Collecting \([^ ]*\).*/  \1/p' -e 's/^Successfully.*/  done/p'
endef
