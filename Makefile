# `make` lists what there is. Everything runs in .venv/, which the first target that needs it makes; for another
# Python beside it: make VENV=.venv-3.13 PYTHON=python3.13 test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
ARGS ?=
# Compiled once: tests start hundreds of programs, and some containers would have each compile everything anew.
export PYTHONDONTWRITEBYTECODE :=
# Tests wait more than they compute, so two cores take four; more only crowd each other.
WORKERS ?= 4
# The slow ones wait nine tenths of their time, for what is away to come back, for a walk to end; those that
# only compute come last, hence one after the other in one order for all (tests/conftest.py).
SLOW_WORKERS ?= 6

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(READY)  ## one press, all the way and back; ARGS=--once, ARGS="--once --json"
	@$(BIN)/amr-sim demo $(ARGS)

test: $(READY)  ## everything that is quick (under five minutes)
	@# What only a slow test needs takes each worker seconds to load.
	$(BIN)/pytest -m "not slow and not bluez" -n $(WORKERS) --dist worksteal -p no:schemathesis $(ARGS)

# Another one every day finds what is new; CI is told one, so that it says the same of the same commit.
SEED ?= today

test-slow: $(READY)  ## kills, power cuts, long fuzzing; beside them five minutes of random schedules from SEED
	@# The schedules only compute, in what the tests leave of the processor while they wait.
	@nice -n 19 $(BIN)/amr-sim explore --seeds 1000000 --seed $(SEED) --for 300 >$(VENV)/explore.log 2>&1 & \
	  explore=$$!; trap 'kill $$explore 2>/dev/null' INT TERM; tests=0; explored=0; \
	  $(BIN)/pytest -m slow -n $(SLOW_WORKERS) --dist load --maxschedchunk 1 $(ARGS) || tests=$$?; \
	  wait $$explore || explored=$$?; cat $(VENV)/explore.log; exit $$((tests ? tests : explored))

test-bluez: $(READY)  ## real BlueZ in a virtual machine (QEMU); skipped with the reason where it cannot be
	$(BIN)/pytest -m bluez -rs tests/bluez $(ARGS)

test-nimble: $(READY)  ## the press on MicroPython's real NimBLE host; MICROPYTHON=PATH of one, else skipped
	@$(BIN)/python -m tests.nimble '$(MICROPYTHON)' -n $(WORKERS) $(ARGS)

lint: $(READY)  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini

# For the boards: BOARD=esp32|esp32c3|esp32s3|nrf52840dk|xiao PORT=/dev/ttyUSB0; the guide has the rest.
BOARD ?= esp32
given = $(if $($(1)),--$(2) '$($(1))')
AT_PORT = $(if $(PORT),--port '$(PORT)',$(error PORT is missing: make $@ PORT=/dev/ttyUSB0))

firmware: $(READY)  ## compile for BOARD (esp32) into build/BOARD, and print sizes
	@$(BIN)/amr-button firmware --board $(BOARD) $(ARGS)

flash: $(READY)  ## MicroPython (IMAGE=..., if given) and the firmware onto the board at PORT
	@$(BIN)/amr-button flash --board $(BOARD) $(AT_PORT) $(call given,IMAGE,image) $(ARGS)

provision: $(READY)  ## a new identity for the board at PORT; CENTRE=URL CA=ca.pem for its label
	@$(BIN)/amr-button provision $(if $(filter file,$(origin BOARD)),,--board $(BOARD)) $(AT_PORT) $(call given,CENTRE,centre) $(call given,CA,ca) \
	  $(call given,REGISTRY,registry) $(call given,LABEL,label) $(ARGS)

selftest: $(READY)  ## the board at PORT tries its own parts; JSON=FILE keeps the report
	@$(BIN)/amr-button selftest $(AT_PORT) $(call given,JSON,json) $(ARGS)

bench: $(READY)  ## press to receipt, adverts per second, memory: as ratios in one run
	$(BIN)/python -m tests.bench $(ARGS)

clean:  ## the virtual environment and all that was built
	rm -rf .venv .venv-* build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@echo "making $(VENV)/ (once; half a minute)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	  --target $(VENV)/micropython-stubs 'micropython-esp32-stubs~=1.29.0' 'micropython-stdlib-stubs~=1.29.0'
	@touch $@

.PHONY: help demo test test-slow test-bluez test-nimble lint firmware flash provision selftest bench clean
