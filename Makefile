# Two commands: `make demo` shows the provider at work, `make test` checks all of it. And `make chaos` attacks it.
# Both need Python 3.11 or newer and make, and build what else they need in .venv here.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
STAMP := .venv/.installed
# In a process for each core, but four at most; a file's tests stay together. One at a time: make test WORKERS=0
WORKERS ?= auto
PYTEST = $(PY) -m pytest --numprocesses=$(WORKERS) --maxprocesses=4 --dist=loadfile
TYPED := airflow_provider_veo3 example_dags testbed demo chaos benchmarks

# Airflow and Python of each leg of `make test-matrix`: all that Airflow supports (3.0 knows no Python 3.13). A part of
# it: make test-matrix MATRIX="3.0-3.11 3.3-3.13"
MATRIX ?= 3.0-3.11 3.0-3.12 3.1-3.11 3.1-3.12 3.1-3.13 3.2-3.11 3.2-3.12 3.2-3.13 3.3-3.11 3.3-3.12 3.3-3.13

# Object stores of `make test-storages`, each a server that it starts and ends here.
STORAGES ?= s3 azure gcs

# How much chaos, and which: `make chaos SEED=7 GENERATIONS=60 KILLS=50`. Without SEED, another each time; it is printed.
SEED ?=
ROUNDS ?= 1
GENERATIONS ?= 30
KILLS ?= 24
CHAOS = $(PY) -m chaos $(if $(SEED),--seed=$(SEED)) --rounds=$(ROUNDS) --generations=$(GENERATIONS) --kills=$(KILLS)

.PHONY: help demo ui test lint format typecheck unit dags e2e coverage install constraints clean
.PHONY: chaos chaos-embedded chaos-distributed bench tests test-matrix test-oldest test-storages docs test-browser screenshots

help:  ## list these targets
	@sed -n 's/^\([a-z0-9-]*\):.*  ## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-18s %s\n' "$$name" "$$text"; done

demo: $(STAMP)  ## make videos with the example DAGs, on a real local Airflow; no key, no credits
	@$(PY) -m demo.run

ui: $(STAMP)  ## the same Airflow in your browser, until Ctrl-C
	@$(PY) -m demo.ui

test: lint typecheck tests  ## everything: linter, types, all tests, the end-to-end run
	@echo 'make test: all passed'

lint: $(STAMP)  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(STAMP)  ## let ruff format and mend what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

typecheck: $(STAMP)  ## mypy --strict
	$(PY) -m mypy --strict $(TYPED)

unit: $(STAMP)  ## the tests without a scheduler: the quick ones
	$(PYTEST) -q --ignore=tests/e2e --ignore=tests/test_packaging.py --ignore=tests/example_dags

dags: $(STAMP)  ## the example DAGs with dag.test() against the emulator
	$(PY) -m pytest tests/example_dags

e2e: $(STAMP)  ## the example DAGs under a real scheduler, workers and triggerer
	$(PY) -m pytest tests/e2e

tests: $(STAMP)  ## all tests, without linter and types
	$(PYTEST) --ignore=tests/e2e
	$(PY) -m pytest tests/e2e

test-matrix:  ## all tests on each Airflow and Python that are supported, one after the other: an hour or two
	@.ci/matrix $(MATRIX)

test-storages:  ## the pipeline into S3, Azure Blob Storage and Google's, on servers here; or STORAGES="s3 gcs"
	@PYTHON='$(PYTHON)' .ci/storages $(STORAGES)

test-oldest:  ## what touches Airflow, and an end-to-end run, on Airflow 3.0 and the oldest Python there is
	@.ci/matrix --oldest

test-browser: .venv/.browser  ## the connection form and the pages of a run, in headless Chromium; needs chromium
	@$(PY) -m pytest tests/browser

screenshots: .venv/.browser  ## the same, and take the pictures docs/images/ui-*.png anew
	@$(PY) -m pytest tests/browser --update

.venv/.browser: $(STAMP)
	@command -v chromium >/dev/null || { \
		echo "chromium is needed and not on the PATH (on Debian and Ubuntu: apt install chromium)." >&2; exit 1; }
	@$(PIP) -c constraints.txt --no-build-isolation -e '.[emulator,dev,browser]'
	@touch $@

coverage: $(STAMP)  ## all tests, with the coverage of the package
	$(PY) -m pytest --cov --cov-report=term-missing:skip-covered

chaos: .venv/.chaos  ## kill Airflow's processes and let the API lie, and count what was paid and stored: both below
	@$(CHAOS) embedded distributed

chaos-embedded: $(STAMP)  ## the same under SQLite and the LocalExecutor only
	@$(CHAOS) embedded

chaos-distributed: .venv/.chaos  ## under PostgreSQL, Redis, two Celery workers and two triggerers only; needs both servers
	@$(CHAOS) distributed

.venv/.chaos: $(STAMP)
	@$(PIP) -c constraints.txt --no-build-isolation -e '.[emulator,dev,chaos]'
	@touch $@

bench: $(STAMP)  ## measure everything in benchmarks/ against what is known, into benchmarks/RESULTS.md
	@$(PY) -m benchmarks

docs: .venv/.docs  ## build the pages of docs/ and the API reference into build/docs, and check their links
	@rm -rf build/docs
	@AIRFLOW_HOME='$(CURDIR)/build/docs-airflow' $(PY) -m sphinx --quiet --fresh-env --fail-on-warning --keep-going \
		--doctree-dir build/docs-trees docs build/docs
	@$(PY) docs/check_site.py build/docs
	@echo 'make docs: build/docs/index.html'

.venv/.docs: $(STAMP)
	@$(PIP) -c constraints.txt --no-build-isolation -e '.[emulator,dev,docs]'
	@touch $@

install: $(STAMP)  ## only build .venv

$(STAMP): pyproject.toml constraints.txt
	@set -e; found=; \
	for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Python 3.11 or newer is needed, and neither '$(PYTHON)' nor python3.13, python3.12 or python3.11 is one." >&2; \
		echo "Name one like this: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; fi; \
	echo "Building .venv with $$("$$found" --version); the first time this takes about a minute ..."; \
	"$$found" -m venv .venv || { \
		echo "'$$found' cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(PIP) -c constraints.txt hatchling editables
	@$(PIP) -c constraints.txt --no-build-isolation -e '.[emulator,dev]'
	@touch $(STAMP)

constraints:  ## take the newest versions that work into constraints.txt (then: make test)
	@rm -rf build/constraints
	@"$(PYTHON)" -m venv build/constraints
	@build/constraints/bin/python -m pip install --quiet --disable-pip-version-check -e '.[emulator,dev,chaos,docs,browser]'
	@{ sed -n '/^#/p' constraints.txt; \
		build/constraints/bin/python -m pip freeze --exclude-editable | grep -v '^#' | LC_ALL=C sort -f; \
		sed -n '/;/p' constraints.txt; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt

clean:  ## remove what the other targets have built; videos/ stays
	rm -rf .venv .storages-venv .matrix build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
