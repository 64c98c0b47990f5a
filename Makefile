# gpupipe. `make` alone lists the targets. Each sets up the virtual environment first, once.
# VENV=folder uses (and fills) another one; ARGS="..." is handed on to pytest, the demo and the benchmarks; RESULTS=folder
# is where benchmarks write, PLAN one of benchmarks/plans.py (PLAN=smoke with ARGS="--repeats 1": whether all of it works).
VENV ?= .venv
DEMO ?= flights
RESULTS ?= benchmarks/results
PLAN ?= short
EXTRAS := cpu,xgboost,lightgbm,catboost,skops,frames,cluster,examples,test,bench
PY := $(VENV)/bin/python
READY := $(VENV)/.gpupipe-ready
MYPY := $(abspath $(PY)) -m mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-all lint types docs bench bench-all clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make the virtual environment and install gpupipe into it, editable

demo: $(READY) ## the main job on real data: plan, fit, evaluate, save, score again (DEMO=flights, churn or disease)
	$(VENV)/bin/gpupipe demo $(DEMO) $(ARGS)

test: $(READY) ## the tests, about 7 minutes on 2 cores
	$(PY) -m pytest -n auto $(ARGS)

test-all: $(READY) ## the tests with the large counts too
	$(PY) -m pytest -n auto -m "slow or not slow" $(ARGS)

lint: $(READY) ## ruff
	$(PY) -m ruff check .

types: $(READY) ## mypy, over the tree as it is installed (kernels inside gpupipe)
	@rm -rf build/types && mkdir -p build/types/gpupipe
	@cd build/types/gpupipe && ln -s ../../../gpupipe/* . && ln -s ../../../kernels kernels
	@ln -s ../../tests ../../benchmarks build/types
	cd build/types && $(MYPY) gpupipe
	cd build/types && $(MYPY) --allow-untyped-defs --allow-incomplete-defs --disable-error-code var-annotated \
	    --disable-error-code func-returns-value tests benchmarks

docs: $(READY) ## the generated pages of docs/ and the operators' stub, and the API's pages as HTML in build/docs
	$(PY) docs/generate.py
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(PY) -m pdoc --output-directory build/docs gpupipe

bench: $(READY) ## the benchmarks, about 10 minutes: gpupipe beside scikit-learn, Polars, DuckDB and pandas (RESULTS=folder)
	$(PY) -m benchmarks --parts features,scoring,small,import --repeats 2 --out $(RESULTS) $(ARGS)
	$(PY) -m benchmarks.compare --plan $(PLAN) --patience 20 --out $(RESULTS)
	$(PY) -m benchmarks.report --results $(RESULTS)

bench-all: $(READY) ## whole jobs at full size beside every peer, and how they grow: hours, 30 GB of disk
	$(PY) -m benchmarks.compare --plan full --patience 120 --out $(RESULTS) $(ARGS)
	$(PY) -m benchmarks.growth --out $(RESULTS)
	$(PY) -m benchmarks --out $(RESULTS)
	$(PY) -m benchmarks.report --results $(RESULTS)
	-$(PY) -m benchmarks.goals --results $(RESULTS)

clean: ## remove what was built or cached here, the virtual environment .venv too
	rm -rf build dist .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find gpupipe kernels tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml
	@set -e; for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "gpupipe needs Python 3.11 or newer; none is on the PATH (or: make PYTHON=/path/to/python)." >&2; exit 1; fi; \
	[ -x "$(PY)" ] || "$$found" -m venv "$(VENV)"; \
	"$(PY)" -m pip install --quiet --disable-pip-version-check --no-compile -e '.[$(EXTRAS)]'
	@touch "$@"
