# `make repro` and `make test` are all a newcomer needs; both set up the virtual environment first.
PYTHON ?= python3
VENV ?= .venv

export PATH := $(abspath $(VENV))/bin:$(PATH)
INSTALLED := $(VENV)/.installed
CLUSTER := $(VENV)/.cluster

.PHONY: repro report test test-quick check unit coverage docs torture bench bench-quick format clean help

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it: make PYTHON=python3.11")'
	@echo "Setting up $(VENV): PyTorch and the rest, some minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	$(VENV)/bin/python tools/plots_page.py
	@touch $@

$(CLUSTER): $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[cluster]"
	@touch $@

repro: $(INSTALLED) $(if $(JOBS),$(CLUSTER)) ## set up, make every table and figure, print Table II and name the rest; JOBS=2 on two processors
	python tools/mend_lock.py
	$(if $(JOBS),python tools/grid.py --jobs $(JOBS),dvc repro)
	@cat metrics/tables/table2.md
	@echo "Tables:"
	@ls metrics/tables/*.md | sed 's/^/  /'
	@echo "Figures, and sheets of generated images:"
	@ls plots/*.svg plots/*/*.svg plots/*/*.png | sed 's/^/  /'
	@python tools/runtime.py > /dev/null
	@echo "Run times on this machine:"
	@echo "  data/seconds/runtime.md"
	@echo "All of it as one page:"
	@python tools/report.py

report: $(INSTALLED) ## write all results as one page, report.html; AGAINST=HEAD~1 says what changed since that commit
	@python tools/report.py --against '$(AGAINST)'

test: check unit ## set up, then lint, format, types and all tests

check: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy

test-quick: $(INSTALLED) ## the same without the slow tests, about a minute
	$(MAKE) check
	pytest -m "not slow"

unit: $(CLUSTER)
	pytest -n 2 --dist loadfile --no-loadscope-reorder

# By itself, for counting the lines doubles the time of the tests.
coverage: $(CLUSTER) ## all tests, and which lines of src/eos they run; half an hour
	pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

docs: $(INSTALLED) ## build the site of the documentation into build/site; a warning is an error
	sphinx-build --quiet --fail-on-warning --keep-going -c docs -d build/doctrees . build/site
	@echo "build/site/index.html"

torture: $(INSTALLED) ## attack it with signals, damage, full disks and bad input, an hour on two cores
	python -m tools.torture

bench: $(INSTALLED) ## measure every phase beside the plain way, twelve minutes
	python -m benchmarks

bench-quick: $(INSTALLED) ## the same on small sizes, under a minute
	python -m benchmarks --quick

format: $(INSTALLED) ## put the code into the project's format
	ruff format .
	ruff check --fix .

clean: ## remove the virtual environment, caches and checkpoints of stopped trainings
	rm -rf $(VENV) .checkpoints .grid .torture .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage build src/*.egg-info
