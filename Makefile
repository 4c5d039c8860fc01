# `make` alone lists the targets. Everything runs in .venv, which the first target that needs it builds.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check format lint types docs audit peers spark bench bench-all table lock clean

# Without bytecode the imports of torch and Beam take three times as long.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH VIRTUAL_ENV
export PYTHON

PY := .venv/bin/python
WORKERS ?= 2
CODE := pipeline query_builder trainer webimagetext benchmarks examples docs docker tests

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{printf "  make %-11s %s\n", $$1, $$2}'

setup: .venv/.ready  ## build .venv with everything the programs need
	@echo ".venv is ready"

.venv/.ready: requirements.txt requirements-installer.txt pyproject.toml .ci/environment
	@.ci/environment .venv requirements.txt
	@.venv/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation --config-setting editable_mode=compat --editable .
	@touch $@

.venv/.ready-dev: requirements-dev.txt .venv/.ready
	@.ci/environment .venv requirements.txt requirements-dev.txt
	@touch $@

demo: .venv/.ready  ## build a query list, crawl a site, train a small CLIP; SITE=https://… crawls your own site
	@$(PY) examples/demo/run.py $(if $(SITE),--site '$(SITE)') $(if $(CONTACT),--contact '$(CONTACT)')

test: .venv/.ready-dev  ## run the tests; WORKERS=2 processes
	@.ci/spark/try $(MAKE) --no-print-directory spark
	@echo "== tests"
	@$(PY) -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow"

test-slow: .venv/.ready-dev  ## run the tests that take longer than about ten seconds
	@$(PY) -m pytest -q -m slow

check: format lint types docs audit test  ## everything continuous integration runs

format: .venv/.ready-dev
	@echo "== format"
	@.venv/bin/ruff format --check $(CODE)

lint: .venv/.ready-dev
	@echo "== lint"
	@.venv/bin/ruff check $(CODE)
	@.venv/bin/hadolint docker/Dockerfile

types: .venv/.ready-dev
	@echo "== types"
	@.venv/bin/mypy

docs: .venv/.ready-dev
	@echo "== docs in step with the code"
	@$(PY) docs/check.py

audit: .venv/.ready-dev  ## look whether packages are pinned, hashed, installed as pinned, of a known licence, without known faults
	@echo "== packages"
	@$(PY) docs/packages.py

peers: .venv-peers/.ready  ## build .venv-peers with the programs that benchmarks and compatibility tests compare with
	@echo ".venv-peers is ready"

.venv-peers/.ready: requirements-peers.txt requirements-installer.txt .ci/environment
	@.ci/environment .venv-peers requirements-peers.txt
	@touch $@

spark: .venv-spark/.ready  ## fetch Beam's job server for Spark into .cache/spark, and Spark itself into .venv-spark
	@.ci/spark/build .cache/spark

.venv-spark/.ready: requirements-spark.txt requirements-installer.txt .ci/environment
	@.ci/environment .venv-spark requirements-spark.txt
	@touch $@

bench: .venv/.ready-dev  ## run one benchmark, NAME=…; without NAME list them
	@$(PY) -m benchmarks $(NAME)

bench-all: .venv/.ready-dev .venv-peers/.ready  ## run every benchmark, and write the table of the README
	@$(PY) -m benchmarks all

table: .venv/.ready-dev  ## write the table of the README from benchmarks/results
	@$(PY) -m benchmarks table

COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links

IN_IMAGES := pyproject.toml --group build --extra s3 --extra turbo -c requirements.txt -c requirements-dev.txt

lock: .venv/.ready  ## choose the newest versions anew and write the pinned requirements
	@$(COMPILE) --upgrade pyproject.toml --group build --extra train -o requirements.txt
	@$(COMPILE) --upgrade --group dev -c requirements.txt -o requirements-dev.txt
	@$(COMPILE) --upgrade --group peers -o requirements-peers.txt
	@$(COMPILE) --upgrade --group spark -o requirements-spark.txt
	@$(COMPILE) --upgrade --group installer -o requirements-installer.txt
	@$(COMPILE) $(IN_IMAGES) --extra gcs -o docker/requirements-pipeline.txt
	@$(COMPILE) $(IN_IMAGES) --extra gcp -o docker/requirements-dataflow.txt
	@! grep -nE '://|^--' requirements*.txt docker/requirements*.txt || { echo "error: a requirements file names a host" >&2; exit 1; }

clean:  ## remove the environments, caches and the demo's results
	rm -rf .venv .venv-peers .venv-spark .cache demo-run build *.egg-info .mypy_cache .ruff_cache .pytest_cache
