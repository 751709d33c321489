# What a developer runs.  Needs Python >= 3.11 with venv (and its headers and a C compiler for the C kernels) and make.
#
#   PYTHON=python3.12   the Python to make the environment with
#   VENV=.venv          where the environment is
#   ARGS="-k sin"       further arguments of pytest, in test, quick and bench; of bench_compile.py in bench-compile, of bench_cost.py in bench-cost

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
DIST ?= dist

PY = $(VENV)/bin/python
ENVIRONMENT = $(VENV)/.environment
EDITABLE = $(VENV)/.editable
INSTALLED = $(VENV)/.installed

# What the extension and the installed metadata are made of; what csrc's own check builds is not among it.
C_SOURCES := $(shell find csrc arrayad/compiler/emitted -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.inc' -o -name '*.py' \) 2>/dev/null)
BUILT_FROM = pyproject.toml setup.py arrayad/version.py $(wildcard MANIFEST.in) $(C_SOURCES)
PACKAGE := $(shell find arrayad -type f \( -name '*.py' -o -name '*.pyi' -o -name py.typed \) 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help test quick lint format bench bench-compile bench-cost demo generate check-c sdist clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

test: $(EDITABLE) ## every test and every example in a docstring
	$(PY) -m pytest -n auto $(ARGS)

quick: $(EDITABLE) ## the tests that take no time; stops at the first failure
	$(PY) -m pytest -n auto -q -x -m "not slow" $(ARGS)

lint: $(EDITABLE) ## ruff, mypy and the layer contract
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -q tests/test_architecture.py

format: $(EDITABLE) ## put the sources into the form that lint asks for
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(EDITABLE) ## the benchmarks, with torch and jax beside it where they are installed
	$(PY) -m pytest benchmarks -o python_files='bench_*.py' --benchmark-only -W default $(ARGS)

bench-compile: $(EDITABLE) ## compiled programs beside torch, torch.compile, jax.jit, and NumPy and C by hand; ARGS="ROW --peers jax c"
	$(PY) benchmarks/bench_compile.py $(ARGS)

# -P keeps the working directory off the path, so that it is the installed package that runs.
bench-cost: $(EDITABLE) ## what gradients and tangents cost over the value, and how differences grow; ARGS="ROW --write docs/cost.md"
	$(PY) benchmarks/bench_cost.py $(ARGS)

demo: $(INSTALLED) ## install as a user would, and show what it does
	$(PY) -P -m arrayad demo

# Without the C kernels: they may be what is to be generated anew.
generate: $(EDITABLE) ## rewrite the files that are generated and checked in
	ARRAYAD_BACKEND=numpy $(PY) tools/generate.py

check-c: ## the C kernels' own tests, without Python
	$(MAKE) -C csrc check

sdist: $(ENVIRONMENT) ## the source distribution, into dist/
	$(PY) -m pip install --quiet build
	$(PY) -m build --sdist --outdir $(DIST)

clean: ## remove what was built here, and .venv
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	rm -f $(ENVIRONMENT) $(EDITABLE) $(INSTALLED) arrayad/_native*.so arrayad/_native.c
	find arrayad csrc tests tools examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
	if [ -f csrc/Makefile ]; then $(MAKE) -C csrc clean; fi

# --- the environment ---------------------------------------------------------------------------------------------------
# The package is installed in it either editable (to work on it) or as it is (to use it): whichever is asked for undoes
# the other's stamp.  build/ is removed, since setuptools would install what it finds there of deleted modules.

$(ENVIRONMENT):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "arrayad needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1 || true)." >&2; \
	    echo "Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv python3-dev" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(EDITABLE): $(ENVIRONMENT) $(BUILT_FROM)
	rm -rf build $(INSTALLED)
	$(PY) -m pip install --quiet --editable '.[test,lint]'
	@touch $@

$(INSTALLED): $(ENVIRONMENT) $(BUILT_FROM) $(PACKAGE)
	rm -rf build $(EDITABLE)
	$(PY) -m pip install --quiet '.[demo]'
	@touch $@
