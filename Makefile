# make repro: set up, run the pipeline, print metrics and plots.  make test: lint, types and all tests.
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

test: check     ## lint, types and all tests
	pytest -n 2

clean:          ## remove caches, keep data and results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Gate, reports, and what .github/workflows runs. BASELINE=revision  EXPERIMENTS='name name'  NO_FACES=1
.PHONY: gate fresh report card comment ci setup-gpu real-data audit demo

gate: setup     ## compare with BASELINE=revision (main); fails on a regression
	python -m candid gate --baseline $(or $(BASELINE),main)

fresh: setup    ## fail unless dvc.lock matches this tree
	python -m candid gate --fresh

report: setup   ## write report/index.html: this run, and EXPERIMENTS='name name' beside it
	python -m candid report $(EXPERIMENTS) $(if $(BASELINE),--baseline $(BASELINE)) $(if $(NO_FACES),--no-faces)

card: setup     ## write docs/model-card.md
	python -m candid report --card

comment: setup  ## write report/comment.md, what CI says on a pull request
	python -m candid.report.comment --baseline $(or $(BASELINE),main) $(if $(RUN_URL),--link $(RUN_URL))

ci: test fresh repro comment report gate ## all that CI does with a pull request, here

setup-gpu: setup ## add what TensorFlow needs for a GPU
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		"tensorflow[and-cuda]==$$(sed -n 's/^tensorflow==//p' requirements.txt)"

real-data: setup ## train on DATASET (fer2013) with PROTOCOL (official) and ARCH (residual_cnn)
	dvc exp run --force --name real-data -S data.dataset=$(or $(DATASET),fer2013) \
		-S split.protocol=$(or $(PROTOCOL),official) -S model.arch=$(or $(ARCH),residual_cnn)

audit: setup    ## known vulnerabilities of the pinned packages (asks PyPI), and secrets in the repository
	@python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3'
	pip-audit --strict --disable-pip --no-deps -r constraints.txt

demo: setup     ## a local page: a picture or the camera, faces, bars (127.0.0.1 only)
	python -m candid demo
