# Every target prepares .venv by itself (setup.sh); the second call starts at once.
#   make demo DATA=<folder> OUT=<folder> ARGS="--steps 2000"     make test ARGS="-k projection"
DATA ?= street
OUT ?= runs/demo
ARGS ?=
python := .venv/bin/python

.PHONY: help setup demo test lab

help:
	@echo "make demo    distil, probe and draw on the simulated street (DATA=<folder>: on your data)"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make test    lint, tests and every notebook"
	@echo "make setup   only install into .venv (CPU=1: a torch without CUDA, PYTHON=<which one>)"

setup:
	@./setup.sh

demo: setup
	$(python) -m kit demo --data "$(DATA)" --out "$(OUT)" $(ARGS)

# KIT_FAST=1 gives the notebooks small settings; KIT_FAST=0 runs them as a reader would.
test: export KIT_FAST ?= 1
test: setup
	@./setup.sh browser
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m pytest -q --durations=10 --nbmake --nbmake-timeout=300 \
		tests $(wildcard notebooks/*.ipynb) $(ARGS)

# The dialogue that is switched off would ask to rebuild JupyterLab because Open3D brings dash.
lab: setup
	$(python) -m jupyterlab --notebook-dir=notebooks --ServerApp.tornado_settings="\
	{'page_config_data': {'buildCheck': False, 'buildAvailable': False}}" $(ARGS)
