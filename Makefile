# Every target works in a fresh clone: it first makes the environment it needs, in .venv.
# Stamp files in .venv/.stamps remember what is installed, so a second call does no work twice.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
# Processes that share the test suites, for example `make unit JOBS=4`; 0: none but pytest's own.
JOBS ?= auto
ARGS ?=
# Share of the examples of each property that `make unit` tries, and `make sanitize`.
EXAMPLES ?= 0.15
SANITIZED_EXAMPLES ?= 0.05
# Kernels under the sanitizers: PLAIN, or ON for all instruction sets.
SANITIZED ?= PLAIN
# The folder of benchmarks/ that `make bench` runs, for example `make bench BENCH=sequence`.
BENCH ?= lanes

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
LOCAL := --no-build-isolation --editable
NATIVE := $(wildcard native/*/*.cc native/*/*.h) CMakeLists.txt

SANITIZE := build/sanitize
# Files with native tests; the others are not even imported there, for what they import is not ours.
NATIVE_TESTS = $(shell grep --recursive --files-with-matches mark.native tests --include='test_*.py')
WHEEL_VENV := build/wheel-venv

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
	  printf '  make %-10s %s\n' "$$name" "$$text"; done

# --- environment ---------------------------------------------------------------------------------

# Prerequisites of one target are made in the order they are named: an install that has just
# compiled the extension spares the next one the work.
.NOTPARALLEL:

$(STAMPS)/tools: constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS)
	$(PIP) scikit-build-core nanobind cmake ninja pathspec
	@touch $@

INSTALL_run := report,data,plot
INSTALL_test := test,check
INSTALL_dev := dev
INSTALL_docs := docs
INSTALL_bench := bench

$(STAMPS)/run $(STAMPS)/test $(STAMPS)/dev $(STAMPS)/docs $(STAMPS)/bench: $(STAMPS)/%: pyproject.toml $(STAMPS)/tools
	$(PIP) $(LOCAL) '.[$(INSTALL_$*)]'
	@find src -name '*.py' | sort > $(STAMPS)/modules
	@touch $@ $(STAMPS)/native

# The editable install maps every module to its file, so a file that was moved needs a new install.
.PHONY: FORCE
FORCE:
$(STAMPS)/modules: FORCE | $(STAMPS)/tools
	@find src -name '*.py' | sort | cmp --silent - $@ || find src -name '*.py' | sort > $@

# A native source or the list of modules changed: compile and install, but resolve and download
# nothing. The stub declares the extension to type checkers.
$(STAMPS)/native: $(NATIVE) $(STAMPS)/modules | $(STAMPS)/tools
	$(PIP) --no-deps $(LOCAL) .
	$(BIN)/python -m nanobind.stubgen --quiet -m carrousel._native -o src/carrousel/_native.pyi
	@touch $@

.PHONY: build
build: $(STAMPS)/run $(STAMPS)/native ## install into .venv; compile what changed

.PHONY: dev
dev: $(STAMPS)/dev $(STAMPS)/native ## all a contributor needs in .venv, and the commit hooks
	@if git rev-parse --git-dir >/dev/null 2>&1; then $(BIN)/pre-commit install; fi

# --- use -----------------------------------------------------------------------------------------

.PHONY: reproduce
reproduce: $(STAMPS)/run $(STAMPS)/native ## the paper's headline rows, ours beside the published
	$(BIN)/carrousel reproduce $(ARGS)

.PHONY: bench
bench: $(STAMPS)/bench $(STAMPS)/native ## implementations side by side, verified before they are timed
	$(BIN)/python -m benchmarks.$(BENCH) $(ARGS)

.PHONY: docs
docs: $(STAMPS)/test $(STAMPS)/native ## generated pages, from committed runs and docstrings
	$(BIN)/python -m tools.pages

.PHONY: paper
paper: $(STAMPS)/docs $(STAMPS)/native ## the paper as HTML and PDF, in docs/paper
	$(BIN)/python -m tools.typeset $(ARGS)

# --- checks --------------------------------------------------------------------------------------

.PHONY: test
test: unit sanitize check ## everything that is checked

.PHONY: unit
unit: $(STAMPS)/test $(STAMPS)/native ## the test suite
	OMP_NUM_THREADS=1 CARROUSEL_EXAMPLES=$(EXAMPLES) \
	  $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(ARGS)

.PHONY: coverage
coverage: $(STAMPS)/dev $(STAMPS)/native ## lines and branches that the test suite runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --cov=carrousel --cov-branch \
	  --cov-report=term-missing:skip-covered $(ARGS)

.PHONY: mutants
mutants: $(STAMPS)/test $(STAMPS)/native ## break the kernels on purpose; the suite must notice
	cd tests && ../$(BIN)/python -m mutants $(ARGS)

# Downloads a few gigabytes; environments are kept in build/foreign.
.PHONY: foreign
foreign: $(STAMPS)/test $(STAMPS)/native ## other packages: the same results with our layers and torch's
	PYTHONPATH=tests $(BIN)/python -m foreign $(ARGS)

.PHONY: check
check: $(STAMPS)/test $(STAMPS)/native ## style, types, and the arrows of import
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/python -m pytest --quiet tests/test_arrows.py

# The instrumented extension lives in an environment of its own, which sees the packages of .venv
# behind its own. Neither the editable install nor the fast build is touched.
$(SANITIZE)/stamp: $(NATIVE) $(shell find src -name '*.py') $(STAMPS)/test
	@test -x $(SANITIZE)/venv/bin/python || $(BIN)/python -m venv --without-pip $(SANITIZE)/venv
	site=$$($(SANITIZE)/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	rm -rf "$$site"/carrousel*; \
	$(PIP) --no-deps --no-build-isolation --target "$$site" \
	  --config-settings build-dir=$(SANITIZE)/cmake \
	  --config-settings install.strip=false \
	  --config-settings cmake.define.CARROUSEL_SANITIZE=$(SANITIZED) . ; \
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$site/shared.pth"
	@touch $@

.PHONY: sanitize
sanitize: $(SANITIZE)/stamp ## the native tests under AddressSanitizer and UBSan
	CARROUSEL_SANITIZED=1 CARROUSEL_EXAMPLES=$(SANITIZED_EXAMPLES) \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	$(SANITIZE)/venv/bin/python -m pytest --capture=sys -p no:cacheprovider \
	  --numprocesses $(JOBS) -m native $(NATIVE_TESTS) $(ARGS)

# --- release -------------------------------------------------------------------------------------

.PHONY: wheel
wheel: $(STAMPS)/tools ## build a wheel and try it in an empty environment without a compiler
	rm -rf dist/*.whl $(WHEEL_VENV)
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation \
	  --config-settings build-dir=build/wheel --wheel-dir dist .
	$(PYTHON) -m venv $(WHEEL_VENV)
	cd $(WHEEL_VENV) && export PATH="$$PWD/bin" && \
	  pip --disable-pip-version-check install --quiet --constraint $(CURDIR)/constraints.txt \
	    $(CURDIR)/dist/*.whl && \
	  python -c 'import carrousel; print(carrousel.__file__)' && \
	  carrousel list

.PHONY: clean
clean: ## remove what was built, .venv included
	rm -rf build dist $(VENV) .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
