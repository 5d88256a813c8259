# Every target prepares .venv by itself (setup.sh); the second call starts at once.
#   make demo DATA=<folder> OUT=<folder> ARGS="--steps 2000"     make test ARGS="-k projection"
DATA ?= street
OUT ?= runs/demo
ARGS ?=
# Memory in pages of 2 MB, which is faster on virtual machines (kit/__main__.py).
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1
python := .venv/bin/python

# Executed copies of the notebooks: `make test` leaves them here, and `make docs` shows them.
executed := runs/notebooks

.PHONY: help setup demo test fuzz docs lab

help:
	@echo "make demo    distil, probe and draw on the simulated street (DATA=<folder>: on your data)"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make test    lint, tests and every notebook"
	@echo "make fuzz    the property tests with many more random inputs (about ten minutes)"
	@echo "make docs    the documentation, in docs/_build/html/index.html"
	@echo "make setup   only install into .venv (CPU=1: a torch without CUDA, PYTHON=<which one>)"

setup:
	@./setup.sh

demo: setup
	$(python) -m kit demo --data "$(DATA)" --out "$(OUT)" $(ARGS)

# KIT_FAST=1 gives the notebooks small settings; KIT_FAST=0 runs them as a reader would.
test: export KIT_FAST ?= 1
# Two processes with one thread each are faster than with two.
test: export OMP_NUM_THREADS ?= 1
test: setup
	@./setup.sh tests
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	@rm -rf $(executed) && mkdir -p $(executed) && cp notebooks/*.ipynb $(executed)
	$(python) -m pytest -q --durations=10 -n 2 --dist worksteal \
		--nbmake --nbmake-timeout=300 --overwrite \
		tests $(patsubst %,$(executed)/%,$(notdir $(wildcard notebooks/*.ipynb))) $(ARGS)

fuzz: export HYPOTHESIS_PROFILE = fuzz
fuzz: setup
	$(python) -m pytest -q -m hypothesis tests $(ARGS)

# A warning, such as a broken link, is an error. Notebooks without an executed copy are executed.
docs: export KIT_FAST ?= 1
docs: setup
	@rm -rf docs/api/generated
	$(python) docs/executed_notebooks.py $(executed) docs/notebooks
	$(python) -m sphinx -q -W --keep-going -d docs/_build/doctrees docs docs/_build/html $(ARGS)
	@echo "docs: docs/_build/html/index.html"

# The dialogue that is switched off would ask to rebuild JupyterLab because Open3D brings dash. Root,
# as in a container, has to be allowed by name.
lab: setup
	$(python) -m jupyterlab --notebook-dir=notebooks --ServerApp.tornado_settings="\
	{'page_config_data': {'buildCheck': False, 'buildAvailable': False}}" \
	$(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)
