# `make demo` shows the provider at work, `make test` checks all of it, `make chaos` kills it while it works.
# They need make and Python 3.11 or newer, and install everything else in .venv.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
# With this variable, which images for containers often set, each process would compile all of our modules anew.
unexport PYTHONDONTWRITEBYTECODE
STAMP := .venv/.installed
# Test processes, which wait as much as they compute; the tests of a file run in the same one. Without any: make test WORKERS=0
WORKERS ?= 4
PYTEST = $(PY) -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder
# Runs targets beside others; with WORKERS=0 all follow one another.
BESIDE = MAKE='$(MAKE)' $(PY) .ci/side_by_side.py
# Tests of `make check`, which start no task of Airflow. Those of the emulator would take as long again.
QUICK := $(addprefix tests/,api chaos history hooks polling testbed test_map.py test_parameters.py test_plain_english.py)
TYPED := airflow_provider_veo3 example_dags testbed demo chaos benchmarks

# Pairs of Airflow and Python of `make test-matrix`: each Airflow and each Python at least once. 3.4 is its newest
# pre-release. Other pairs (Airflow 3.0 excludes Python 3.13): make test-matrix MATRIX="3.0-3.12 3.2-3.11"
MATRIX ?= 3.0-3.11 3.1-3.12 3.2-3.13 3.3-3.11 3.3-3.14 3.4-3.13

# Those of `make test-browser-matrix`, beside the newest.
BROWSERS ?= 3.1-3.11 3.2-3.11 3.4-3.13

# Object stores of `make test-storages`, each a local server.
STORAGES ?= s3 azure gcs

# Options of `make chaos`: make chaos SEED=7 GENERATIONS=60 KILLS=50. Without SEED it is random, and printed.
SEED ?=
ROUNDS ?= 1
GENERATIONS ?= 30
KILLS ?= 24
CHAOS = $(PY) -m chaos $(if $(SEED),--seed=$(SEED)) --rounds=$(ROUNDS) --generations=$(GENERATIONS) --kills=$(KILLS)

.PHONY: help demo ui check quick test lint format typecheck unit dags e2e coverage install constraints clean
.PHONY: chaos chaos-embedded chaos-distributed bench dist sbom docs tests tests-without-e2e
.PHONY: test-matrix test-oldest test-storages test-browser test-browser-matrix test-extras screenshots

help:  ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*  ## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-18s %s\n' "$$name" "$$text"; done

demo: $(STAMP)  ## make videos with the example DAGs on a local Airflow; needs no key, spends no credits
	@$(PY) -m demo.run

ui: $(STAMP)  ## open the example DAGs in the Airflow UI, until Ctrl-C
	@$(PY) -m demo.ui

check: $(STAMP)  ## run the linter, the type checker and the quick tests, within a minute
	@$(BESIDE) typecheck -- lint quick
	@echo 'make check: all passed; make test runs all tests'

test: $(STAMP)  ## run the linter, the type checker and all tests, some of them side by side
	@$(BESIDE) lint typecheck e2e -- tests-without-e2e
	@echo 'make test: all passed'

lint: $(STAMP)  ## check rules and format with ruff
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(STAMP)  ## fix rules and format with ruff
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

typecheck: $(STAMP)  ## check types with mypy --strict
	$(PY) -m mypy --strict $(TYPED)

quick: $(STAMP)  ## run the quick tests, which start no task of Airflow
	$(PYTEST) -q $(QUICK)

unit: $(STAMP)  ## run the tests that need no scheduler
	$(PYTEST) -q --ignore=tests/e2e --ignore=tests/test_packaging.py --ignore=tests/example_dags

dags: $(STAMP)  ## run the example DAGs with dag.test() against the emulator
	$(PY) -m pytest tests/example_dags

e2e: $(STAMP)  ## run the end-to-end tests with a real scheduler, workers and triggerer
	$(PY) -m pytest tests/e2e

tests: $(STAMP)  ## run all tests, without linter and type checker
	@$(BESIDE) e2e -- tests-without-e2e

tests-without-e2e: $(STAMP)  ## run all tests but the end-to-end tests
	$(PYTEST) --ignore=tests/e2e

test-matrix:  ## run all tests on each supported Airflow and on each Python; takes over an hour
	@.ci/matrix $(MATRIX)

test-storages:  ## test object stores on local servers: S3, Azure, Google; only some of them: STORAGES="s3 gcs"
	@PYTHON='$(PYTHON)' .ci/storages $(STORAGES)

test-oldest:  ## run the tests that need Airflow on Airflow 3.0 and the oldest installed Python
	@.ci/matrix --oldest

test-browser: .venv/.browser  ## test the connection form and the pages of a run in headless Chromium; needs chromium
	@$(PY) -m pytest tests/browser

test-browser-matrix:  ## run the tests of test-browser on other versions of Airflow
	@.ci/matrix --browser $(BROWSERS)

screenshots: .venv/.browser  ## run test-browser and update the pictures docs/images/ui-*.png
	@$(PY) -m pytest tests/browser --update

test-extras: $(STAMP)  ## resolve the provider beside Airflow's constraints, and its extras; needs a package index
	@$(PYTEST) tests/extras

.venv/.browser: $(STAMP)
	@command -v chromium >/dev/null || { \
		echo "chromium is not on the PATH; the browser tests need it (on Debian and Ubuntu: apt install chromium)." >&2; exit 1; }
	@$(PIP) -c constraints.txt --group browser
	@touch $@

coverage: $(STAMP)  ## run all tests and show the coverage of the package
	$(PY) -m pytest --cov --cov-report=term-missing:skip-covered

chaos: .venv/.chaos  ## run both chaos campaigns: kill Airflow's processes, then count payments and stored videos
	@$(CHAOS) embedded distributed

chaos-embedded: $(STAMP)  ## run the chaos campaign on SQLite with the LocalExecutor
	@$(CHAOS) embedded

chaos-distributed: .venv/.chaos  ## run the chaos campaign on PostgreSQL with Celery; needs PostgreSQL and Redis
	@$(CHAOS) distributed

.venv/.chaos: $(STAMP)
	@$(PIP) -c constraints.txt --group chaos
	@touch $@

bench: .venv/.chaos  ## run all benchmarks and write benchmarks/RESULTS.md; needs PostgreSQL
	@$(PY) -m benchmarks

dist: $(STAMP)  ## build the wheel and the source distribution, and check them
	@rm -rf dist
	@$(PY) -m hatchling build
	@$(PY) -m twine check --strict dist/*
	@$(BIN)/check-wheel-contents dist/*.whl

sbom: dist .sbom-venv/.installed  ## list the wheel and all that it needs, with versions, in dist/sbom.cdx.json (CycloneDX)
	@rm -rf build/sbom
	@$(PY) -m venv --without-pip build/sbom
	@$(PY) -m pip --python build/sbom install --quiet --no-compile --disable-pip-version-check -c constraints.txt dist/*.whl
	@sed "s/^dynamic = .*/version = \"$$($(PY) -m hatchling version)\"/" pyproject.toml >build/sbom.toml
	@.sbom-venv/bin/cyclonedx-py environment build/sbom --pyproject build/sbom.toml --mc-type library --output-reproducible \
		--output-file dist/sbom.cdx.json
	@echo 'make sbom: dist/sbom.cdx.json'

# In an environment of its own: what it needs for the schema's formats doubles the seconds of `import airflow`.
.sbom-venv/.installed: $(STAMP)
	@$(PY) -m venv --clear --without-pip .sbom-venv
	@echo '*' >.sbom-venv/.gitignore
	@$(PY) -m pip --python .sbom-venv install --quiet --no-compile --disable-pip-version-check -c constraints.txt --group sbom
	@touch $@

docs: .venv/.docs  ## build the docs and the API reference in build/docs, and check the links
	@rm -rf build/docs
	@AIRFLOW_HOME='$(CURDIR)/build/docs-airflow' $(PY) -m sphinx --quiet --fresh-env --fail-on-warning --keep-going \
		--doctree-dir build/docs-trees docs build/docs
	@$(PY) docs/check_site.py build/docs
	@echo 'make docs: build/docs/index.html'

.venv/.docs: $(STAMP)
	@$(PIP) -c constraints.txt --group docs
	@touch $@

install: $(STAMP)  ## build .venv and nothing else

$(STAMP): pyproject.toml constraints.txt
	@set -e; found=; \
	for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Python 3.11 or newer is needed; none of '$(PYTHON)', python3.13, python3.12 and python3.11 is one." >&2; \
		echo "Give its path: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; fi; \
	echo "Building .venv with $$("$$found" --version); this takes about a minute the first time ..."; \
	"$$found" -m venv .venv || { \
		echo "'$$found' cannot create a virtual environment (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(PIP) -c constraints.txt pip editables hatchling hatch-fancy-pypi-readme # an older pip knows no dependency groups
	@$(PIP) -c constraints.txt --no-build-isolation --group dev -e '.[emulator]'
	@touch $(STAMP)

constraints:  ## update constraints.txt to the newest compatible versions; run make test after it
	@rm -rf build/constraints
	@"$(PYTHON)" -m venv build/constraints
	@build/constraints/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@build/constraints/bin/python -m pip install --quiet --disable-pip-version-check \
		$(addprefix --group ,dev browser chaos docs sbom) -e '.[emulator]'
	@{ sed -n '/^#/p' constraints.txt; \
		build/constraints/bin/python -m pip freeze --all --exclude-editable | grep -v '^#' | LC_ALL=C sort -f; \
		sed -n '/;/p' constraints.txt; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt

clean:  ## remove everything that the other targets have built, except videos/
	rm -rf .venv .bench-venv .storages-venv .sbom-venv .matrix build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
