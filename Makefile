# Everything that is done with this repository. `make` alone lists it.

PYTHON ?= $(shell for each in python3.11 python3.12 python3.13 python3; do $$each -c '' 2>/dev/null && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV_COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest \
	--python-version 3.11 --generate-hashes

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check compile docs bench lock clean

# A file's tests stay together, so that what its fixtures made is made once.
# Three on two cores: much of the time is spent waiting for servers.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-9s %s\n", $$1, $$2}'

setup: $(VENV)/.tools ## Make the environment with everything that development needs

demo: $(VENV)/.roadie ## The whole story on this machine: train, gate, package, deploy
	@$(BIN)/roadie demo

test: $(VENV)/.tools ## Run all tests, with real servers (as root their Debian packages are installed)
	@tests/servers/install
	$(PYTEST)

test-fast: $(VENV)/.tools ## Run the tests of rooms and steps alone, in a minute
	$(PYTEST) tests/unit tests/steps

check: $(VENV)/.tools ## Lint, types, the rules between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/roadie compile --check

compile: $(VENV)/.tools ## Compile components/ and pipelines/ to compiled/
	$(BIN)/roadie compile

docs: $(VENV)/.tools ## Generate docs/reference and the receiver's schema from the docstrings
	$(BIN)/python docs/generate.py
	$(BIN)/python -m tests.schemas.receiver

bench: $(VENV)/.tools ## Measure Roadie beside the tools that people use today
	@for each in bench/[!_]*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

lock: $(VENV)/.tools ## Resolve the dependencies anew and pin them with hashes
	$(UV_COMPILE) --upgrade pyproject.toml -o requirements.lock
	$(UV_COMPILE) --upgrade --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## Remove the environment and what runs left behind
	rm -rf $(VENV) .roadie .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The environment of the product: what requirements.lock pins, and Roadie itself.
$(VENV)/.roadie: requirements.lock pyproject.toml
	@echo "installing Roadie into $(VENV) (once)"
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || $(MAKE) --no-print-directory venv-from-debian
	@awk '/^[^ ]/ { ours = /^pip==/ } ours' requirements.lock > $(VENV)/pip.lock
	@$(PIP_INSTALL) --require-hashes -r $(VENV)/pip.lock
	@$(PIP_INSTALL) --build-constraint requirements-dev.lock --require-hashes -r requirements.lock
	@$(PIP_INSTALL) --build-constraint requirements-dev.lock --no-deps --editable .
	@touch $@

# Debian ships Python without its venv module.
.PHONY: venv-from-debian
venv-from-debian:
	@if [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq --no-install-recommends python3-venv >/dev/null; fi
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null || { echo "install Python's venv module: apt-get install python3-venv" >&2; exit 1; }

# On top of it, the tools of development.
$(VENV)/.tools: $(VENV)/.roadie requirements-dev.lock
	@echo "installing the development tools into $(VENV) (once)"
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@
