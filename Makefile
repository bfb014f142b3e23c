# Only Python 3.11 or newer and make are needed. Arguments go through ARGS: make up ARGS="--port 8080"

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
APPS := config core accounts marketdata subscriptions alerts summaries dashboard
BENCHMARKS = $(filter-out _%,$(basename $(notdir $(wildcard benchmarks/[a-z]*.py))))

.PHONY: up test check alerts-oracle faults bench lock format clean
.DEFAULT_GOAL := up

# .env fills in what the caller did not set; a NAME of the caller also wins over a NAME_FILE in there.
up: .venv/runtime
	@if [ -f .env ]; then \
		given=$$(export -p); set -a; . ./.env; set +a; \
		for name in $$(env | sed -n 's/^\([A-Z_]*\)_FILE=.*/\1/p'); do \
			case "$$given" in *" $$name="*) unset "$${name}_FILE";; esac; \
		done; \
		eval "$$given"; \
	fi; exec $(BIN)/python manage.py up $(ARGS)

# Not the longest files first: file after file, each worker starts the site of the browser tests once.
test: .venv/development
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# Everything but the tests. Django's checks run on a throw-away server and data folder.
MANAGE := $(BIN)/python -m core.embedded.throwaway $(BIN)/python manage.py
check: .venv/development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(APPS)
	$(BIN)/lint-imports --no-logo
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check
	env -u SECRET_KEY DEBUG=0 HTTPS=1 ALLOWED_HOSTS=example.com $(MANAGE) check --deploy --fail-level WARNING

# Alerts against a plain reading of what is promised, tick by tick, alone and in races; the tests do a small part of it.
alerts-oracle: .venv/development
	@ORACLE_SERIES=$${ORACLE_SERIES:-10000} RACE_ROUNDS=$${RACE_ROUNDS:-20} exec $(BIN)/python -m pytest -q \
		tests/alerts/test_against_oracle.py tests/alerts/test_races.py $(ARGS)

# Alerts while whoever decides and delivers them is killed again and again; the tests do the same for a quarter minute.
faults: .venv/development
	@exec $(BIN)/python -m tests.faults $(ARGS)

bench: .venv/development
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(ARGS); done

format: .venv/development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The lowest Python is named, so that the same list installs on every one above.
UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11.0 --custom-compile-command "make lock"
lock: .venv/development
	$(UV_COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(UV_COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt

# What can be made again. The data under var/ stays.
clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Onetape needs Python 3.11 or newer as '$(PYTHON)'; name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ echo "'$(PYTHON) -m venv' failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

.venv/runtime: requirements.txt | .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/development: requirements-dev.txt .venv/runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
