# What people need: `make demo` and `make test`. The rest is for those who change the code.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8080
CLIENTS ?= 1000
TESTS ?=
BENCHMARKS ?=
MUTANTS ?=
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
FLASK := $(BIN)/flask --app enrollment_addon.demo

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: $(BIN)/.server ## A working back office with data, at http://127.0.0.1:8080 (PORT=…, CLIENTS=…)
	@$(FLASK) enrollment init
	@$(FLASK) enrollment demo --if-empty --clients $(CLIENTS)
	@echo "Open http://$(HOST):$(PORT)/ (stop with Ctrl-C; the data stays in var/)"
	@exec $(BIN)/waitress-serve --host $(HOST) --port $(PORT) --call enrollment_addon.demo:create_app

.PHONY: test
test: $(BIN)/.test system ## All tests, on SQLite, PostgreSQL, MariaDB and in Chromium (TESTS=path)
	$(BIN)/pytest -n 3 --timeout 600 $(TESTS)

.PHONY: check
check: $(BIN)/.dev ## Style, types, imports, security, templates, dead code, catalogs
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -ll -r enrollment_addon migrations --skip B608,B704 # ruff has both, with its exceptions in place
	$(BIN)/djlint --quiet --lint enrollment_addon/templates
	$(BIN)/vulture enrollment_addon migrations --min-confidence 80 --ignore-names instances,attr
	$(BIN)/pytest tests/architecture/test_catalogs.py

.PHONY: lowest
lowest: system ## The tests on SQLite with the lowest versions that setup.cfg allows, in a place of their own (TESTS=path)
	$(PYTHON) -m venv --clear build/lowest
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	build/lowest/bin/uv pip install --quiet --python build/lowest/bin/python --resolution lowest-direct --editable '.[test]'
	cd build && lowest/bin/python -c 'import enrollment_addon.manager; from enrollment_addon.core import install; install.head()'
	build/lowest/bin/python -m pytest -n 2 --timeout 600 -k 'not postgresql and not mariadb' $(TESTS)

.PHONY: bench
bench: $(BIN)/.test ## The promised speeds, measured side by side (BENCHMARKS="grant spending")
	$(BIN)/python -m benchmarks $(BENCHMARKS)

.PHONY: mutants
mutants: $(BIN)/.dev ## Changed lines of the ledger that no test notices (MUTANTS="enrollment_addon.credits.calc.*"); docs/mutants.md
	$(BIN)/mutmut run --max-children 2 $(MUTANTS)
	$(BIN)/mutmut results

.PHONY: messages
messages: $(BIN)/.server ## Bring the catalogs up to date with the code
	mkdir -p build
	$(BIN)/pybabel -q extract -F babel.cfg -k _l -k lazy_pgettext:1c,2 --no-location --project enrollment-addon -o build/messages.pot .
	$(BIN)/pybabel -q update -i build/messages.pot -d translations --no-fuzzy-matching --ignore-obsolete \
		--ignore-pot-creation-date --width 100
	$(MAKE) compile

.PHONY: compile
compile: $(BIN)/.server ## Compile the catalogs; the results are committed
	$(BIN)/pybabel -q compile -d translations

.PHONY: clean
clean: ## Remove what was installed and built; the demo's data stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh tools/system-packages python3-venv
	$(PYTHON) -m venv $(VENV)

# One file per set of packages, newer than what asks for them: `server`, `test` or `dev`, as in setup.cfg.
$(BIN)/.%: $(BIN)/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

.PHONY: system
system:
	@sh tools/system-packages chromium mariadb-server fonts-noto-core fonts-noto-cjk
