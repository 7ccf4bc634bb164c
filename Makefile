# Everything that one does with smhub. `make help` lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= 1
BENCH ?= all
PLUGINS := $(wildcard plugins/*)

.PHONY: help run test test-fast test-counterparts check fix bench soak openapi lock wheels clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

# Installed from the lock with hashes; made anew when the lock or a package's metadata changes.
$(VENV)/run.stamp: requirements/run.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit("smhub needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e . $(foreach plugin,$(PLUGINS),-e $(plugin))
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

run: $(VENV)/run.stamp ## start the hub on 127.0.0.1:8000 with SQLite under ./data (DEMO=0: without the demonstration)
	$(BIN)/smhub serve $(if $(filter 0,$(DEMO)),--no-demo,--demo)

test: $(VENV)/dev.stamp ## all everyday tests, on both databases
	$(BIN)/python -m pytest -q -n 3 --dist worksteal -m "not soak and not counterpart"

test-fast: $(VENV)/dev.stamp ## the tests of one folder: make test-fast T=tests/net
	$(BIN)/python -m pytest -q $(T)

test-counterparts: $(VENV)/dev.stamp ## the connectors against servers that others wrote, started here (tests/counterparts)
	PYTHON=$(abspath $(BIN))/python $(BIN)/python -m pytest -q -m counterpart

check: $(VENV)/dev.stamp ## style, types, floors, and that the contract is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src $(foreach plugin,$(PLUGINS),$(plugin)/src) bench
	$(BIN)/lint-imports --no-cache
	$(BIN)/smhub openapi --check

fix: $(VENV)/dev.stamp ## put style and import order right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(VENV)/run.stamp ## write openapi/core.json and openapi/smhub.json
	$(BIN)/smhub openapi

bench: $(VENV)/dev.stamp ## the benchmarks, one JSON line each (BENCH=list: one of them)
	$(BIN)/python -m bench $(BENCH)

soak: $(VENV)/dev.stamp ## the long forms of the reliability tests; takes an hour or more
	$(BIN)/python -m pytest -q -m soak

lock: ## compile the lock anew (needs uv)
	for name in run dev kit clients mastodon-mock mail-server matrix-server oauth-server; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/$$name.in -o requirements/$$name.txt; \
	done

wheels: $(VENV)/dev.stamp ## build the packages into dist/
	for folder in . $(PLUGINS); do $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation -w dist $$folder; done

clean: ## take away what was made, but not ./data
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
