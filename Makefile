# Two commands do everything on a fresh machine: make run, make test.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export MUYUN_HOME ?= $(CURDIR)/var
# DATA=folder wins over MUYUN_DATA of the environment; without either the home's own source is taken.
ifneq ($(DATA),)
export MUYUN_DATA = $(DATA)
endif
NAME ?= all

.PHONY: help run check-data ui refresh test test-heavy check bench bench-page browser install extras rollback release versions forget-source adopt-source clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(STAMP) ## Run the main job on the embedded data, or on DATA=folder
	@$(BIN)/python -m pipelines.cli run

check-data: $(STAMP) ## Say what a run would make of the files in DATA=folder
	@$(BIN)/python -m pipelines.cli check-data

ui: $(STAMP) ## Start Dagster, MLflow, the API and the docs until Ctrl-C
	@$(BIN)/python -m pipelines.cli ui

refresh: $(STAMP) ## Bring what was recorded since the last tick into profiles and prices, once
	@$(BIN)/python -m pipelines.cli refresh

test: $(STAMP) browser ## Every test that a release needs
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -q -m "not slow"

test-heavy: $(STAMP) browser ## The heavy tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -q -m slow

check: $(STAMP) ## Lint, format, docstrings, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy pipelines models feature_store serving
	@$(BIN)/lint-imports --no-cache

bench-page: $(STAMP) ## Write the results of the last make bench into docs/benchmarks.md
	@$(BIN)/python -m benchmarks page

bench: $(STAMP) ## Every benchmark, or NAME=<name>
	@$(BIN)/python -m benchmarks $(NAME)

rollback: $(STAMP) ## Serve the version before, or VERSION=<version>, until make release
	@$(BIN)/python -m pipelines.cli rollback $(VERSION)

release: $(STAMP) ## End a rollback: serve the newest version again
	@$(BIN)/python -m pipelines.cli release

forget-source: $(STAMP) ## Set the state of this home aside, so that it may take another source
	@$(BIN)/python -m pipelines.cli forget-source

adopt-source: $(STAMP) ## Say that DATA=folder is what this home holds (its folder was moved)
	@$(BIN)/python -m pipelines.cli adopt-source

versions: $(STAMP) ## List the published versions
	@$(BIN)/python -m pipelines.cli versions

browser:
	@.ci/system-packages

install: $(STAMP) ## Only make the environment

extras: $(STAMP) ## Install what docs/scaling.md needs: Spark, Celery, Kubernetes
	@.ci/install-extras $(VENV)

$(STAMP): requirements.lock pyproject.toml .ci/install
	@PYTHON="$(PYTHON)" .ci/install $(VENV)
	@touch $(STAMP)

clean: ## Remove the run folder and the environment
	rm -rf "$(MUYUN_HOME)" $(VENV)
