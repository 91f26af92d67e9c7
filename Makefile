# make repro: set up, run the pipeline, print metrics and plots.  make test: lint, types and all tests.
PYTHON ?= python3
VENV   ?= .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)
# DVC's own place for hashes is open to all users of the machine (docs/reliability.md)
export DVC_SITE_CACHE_DIR ?= $(HOME)/.cache/dvc-private

.PHONY: help setup repro test check clean

help:           ## list the commands
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: $(VENV)/.installed  ## create the virtual environment
	@mkdir -p -m 700 "$$DVC_SITE_CACHE_DIR"

$(VENV)/.installed: requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Candid needs Python 3.11 to 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

repro: setup    ## run the pipeline on the settings in params.yaml
	dvc repro
	@python -m candid report --numbers

check: setup    ## lint, format and types
	ruff check .
	ruff format --check .
	mypy

test: check     ## lint, types and all tests
	pytest -n 2

clean:          ## remove caches, keep data and results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Gate, reports, and what .github/workflows runs. BASELINE=revision  EXPERIMENTS='name name'  NO_FACES=1
# These come as environment variables, quoted by the shell: CI fills them from names of branches, and what make
# itself expands ($(BASELINE)) it would also run. make's own status is 2 for any failure: a CI takes candid's.
.PHONY: gate fresh anew report card comment ci setup-gpu real-data audit demo

gate: setup     ## compare with BASELINE=revision (main); fails on a regression
	@python -m candid gate --baseline="$${BASELINE:-main}"

fresh: setup    ## fail unless dvc.lock matches this tree
	@python -m candid gate --fresh

anew: setup     ## evaluate again, and fail if that is worse than the committed results
	dvc repro --force --single-item evaluate
	@python -m candid gate --baseline=HEAD

report: setup   ## write report/index.html: this run, and EXPERIMENTS='name name' beside it
	@set -f; python -m candid report $${BASELINE:+--baseline="$$BASELINE"} $${NO_FACES:+--no-faces} -- $$EXPERIMENTS

card: setup     ## write report/model-card.md
	@python -m candid report --card

comment: setup  ## write report/comment.md, what CI says on a pull request
	@python -m candid report --comment --baseline="$${BASELINE:-main}" $${RUN_URL:+--link="$$RUN_URL"}

ci: test fresh repro anew comment report card gate ## all that CI does with a pull request, here

setup-gpu: setup ## add what TensorFlow needs for a GPU
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		"tensorflow[and-cuda]==$$(sed -n 's/^tensorflow==//p' requirements.txt)"

real-data: setup ## train on DATASET (fer2013) with PROTOCOL (official) and ARCH (residual_cnn)
	dvc exp run --force --name real-data -S data.dataset="$${DATASET:-fer2013}" \
		-S split.protocol="$${PROTOCOL:-official}" -S model.arch="$${ARCH:-residual_cnn}"

audit: setup    ## known vulnerabilities of the pinned packages (asks PyPI), and secrets in the repository
	@python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3'
	pip-audit --strict --disable-pip --no-deps -r constraints.txt

demo: setup     ## a local page: a picture or the camera, faces, bars (127.0.0.1 only)
	python -m candid demo
