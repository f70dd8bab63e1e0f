# `make` lists what there is. Everything runs in .venv/, which the first target that needs it makes.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
ARGS ?=
# Tests wait more than they compute; more workers than this only crowd each other.
WORKERS ?= 2

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(READY)  ## one press, all the way and back; ARGS=--once, ARGS="--once --json"
	@$(BIN)/amr-sim demo $(ARGS)

test: $(READY)  ## everything that is quick (under five minutes)
	$(BIN)/pytest -m "not slow" -n $(WORKERS) $(ARGS)

test-slow: $(READY)  ## kills, power cuts, two bridges, long fuzzing
	$(BIN)/pytest -m slow -n $(WORKERS) $(ARGS)

lint: $(READY)  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini

bench: $(READY)  ## press to receipt, adverts per second, memory: as ratios in one run
	$(BIN)/python -m tests.bench $(ARGS)

clean:  ## the virtual environment and all that was built
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@echo "making .venv/ (once; half a minute)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --target .venv/micropython-stubs 'micropython-esp32-stubs~=1.29.0' 'micropython-stdlib-stubs~=1.29.0'
	@touch $@

.PHONY: help demo test test-slow lint bench clean
