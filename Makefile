# make repro: set up, run the pipeline, print metrics and plots.  make test: everything CI runs.
PYTHON ?= python3
VENV   ?= .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)

.PHONY: help setup repro test check clean

help:           ## list the commands
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(VENV)/.installed  ## create the virtual environment

$(VENV)/.installed: requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Candid needs Python 3.11 to 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

repro: setup    ## run the pipeline on the settings in params.yaml
	dvc repro
	@dvc metrics show
	@echo 'plots:' && ls plots/*.png && echo 'interactive plots: dvc plots show'

check: setup    ## lint, format and types
	ruff check .
	ruff format --check .
	mypy

test: check     ## everything CI runs
	pytest -n 2

clean:          ## remove caches, keep data and results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
