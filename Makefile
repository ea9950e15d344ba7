# Every target sets up what it needs in .venv; `make` alone lists the targets.
#   make test PYTEST_ARGS="-k floors -x"    one part of the suite
#   make test JOBS=0                        in one process, for a debugger
#   make env EXTRAS=dev,bench               with the frameworks that the benchmarks compare against

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

comma  := ,
EXTRAS ?= dev
JOBS   ?= auto
PYTEST_ARGS ?=

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

# $(call apt,packages): install them when that is ours to do; false when it is not, or fails.
apt = { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
	&& echo "installing $(1)" \
	&& { apt-get -qq update || true; \
	     DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $(1); } \
	   </dev/null >/dev/null 2>&1; }

# $(call stop,sentence): say it and fail.
stop = { echo "graphc: $(1)" >&2; exit 1; }

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: env dot ## run the exercise sheet and the training; says where its pictures, pages and C are
	@$(BIN)/python examples/demo.py

.PHONY: test
test: env ## run the test suite
	$(BIN)/python -m pytest -n $(JOBS) --durations=5 --durations-min=2 $(PYTEST_ARGS)

.PHONY: check
check: lint types test ## everything a change must pass: format, lint, types, tests

.PHONY: lint
lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

.PHONY: types
types: env
	$(BIN)/mypy graphc

.PHONY: format
format: env ## format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: bench
bench: env ## measure against the peers that are installed (see EXTRAS above): 20 minutes
	$(BIN)/python benchmarks/run.py

.PHONY: bench-quick
bench-quick: env ## a few sizes beside NumPy alone: under two minutes
	$(BIN)/python benchmarks/run.py --quick

.PHONY: maths
maths: env ## measure the vector functions: every float32, many float64, on this machine and any
	$(BIN)/python tests/vector_maths.py

.PHONY: golden
golden: env ## rewrite the golden C files; review the diff
	$(BIN)/python -m pytest tests/test_golden.py --update-golden

.PHONY: docs
docs: env ## bring the documentation up to date; BENCH=out/bench: its measurements, too
	$(BIN)/python docs/make.py $(if $(BENCH),--bench $(BENCH))

.PHONY: clean
clean: ## remove whatever the other targets made, .venv included
	rm -rf $(VENV) build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: env
env: $(STAMP) ## create .venv and install graphc in it, editable

# The compiled kernels are Python extension modules: they need a C compiler and Python.h.
$(STAMP): pyproject.toml
	@command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 \
	|| $(call apt,gcc libc6-dev) \
	|| $(call stop,no C compiler found; install gcc or clang.)
	@for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	        && python=$$p && break; \
	done; \
	[ -n "$$python" ] || $(call stop,no Python 3.11 or newer found; install one$(comma) or name it: make env PYTHON=/path/to/python3.); \
	version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	"$$python" -c 'import venv, ensurepip' >/dev/null 2>&1 \
	|| $(call apt,python$$version-venv) \
	|| $(call stop,this Python cannot make virtual environments; install its venv package (python$$version-venv).); \
	"$$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
	|| $(call apt,python$$version-dev) \
	|| $(call stop,Python.h is missing; install the headers of this Python (python$$version-dev).); \
	[ -x $(BIN)/python ] || "$$python" -m venv --clear $(VENV)
	@echo "installing graphc and its tools in $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@

# Only pictures need Graphviz; everything else runs without it.
.PHONY: dot
dot:
	@command -v dot >/dev/null 2>&1 || $(call apt,graphviz) \
	|| echo "Graphviz' dot is missing, so no pictures will be drawn; install the package graphviz to see them."
