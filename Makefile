# Two commands on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`.
# Every path is relative, so that a checkout may live below a folder with spaces in its name.

# The first interpreter that is new enough and can make environments; override with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
STAMP := .venv/.ready
UV_VERSION := 0.13.9
# Further arguments for pytest, as in `make test ARGS="--durations=20 -k lease"`.
ARGS ?=

# Servers started by these targets end with make itself, also when it is killed.
export HANDRAIL_DIE_WITH_PARENT := 1
export UV_LINK_MODE := copy
# The machine's own certificates, as pip and git use them.
export UV_SYSTEM_CERTS := 1
# As if the environment were activated, so that `uv run` and `alembic` in a test are those of .venv.
export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(VIRTUAL_ENV)/bin:$(PATH)
# Tests run other Makefiles; neither our flags nor the caller's Python settings are theirs.
unexport MAKEFLAGS MFLAGS ARGS PYTHONPATH PYTHONHOME

# No cache folder where the account has no home of its own (HOME unset, missing or read-only).
UV_CACHE = $(shell d="$${UV_CACHE_DIR:-$${XDG_CACHE_HOME:-$${HOME:-/dev/null}/.cache}/uv}"; \
	mkdir -p "$$d" 2>/dev/null && test -w "$$d" || echo --no-cache)
UV_PIP = $(BIN)/uv $(UV_CACHE) pip

# One line for a stage that holds: its name and the tool's own last line. Everything it said where it does not.
stage = @printf '%-8s ' $(1); if said=$$($(2) 2>&1); then printf '%s\n' "$$said" | grep . | tail -n 1; \
	else printf 'FAILED\n%s\n' "$$said"; exit 1; fi

.PHONY: setup demo test test-matrix check static quick format pins benchmark clean

setup: $(STAMP)

# The stamp names its checkout: an environment that was copied or moved, or is unfinished, is made anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif
$(STAMP): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Handrail needs Python 3.11 or newer with its venv module (Debian, Ubuntu: apt install python3-venv)"; exit 2; }
	@test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action ignore "uv==$(UV_VERSION)"
	@$(UV_PIP) install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements.txt
	@$(UV_PIP) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@printf '%s' "$(CURDIR)" > $@
	@echo "ready: .venv"

# exec: no shell stays in between, which would outlive make and keep the servers alive with it.
demo: $(STAMP)
	@exec $(BIN)/python -m handrail demo

# Those that measure time come last, with the machine to themselves. pytest fails where it finds nothing to run.
test: $(STAMP)
	exec $(BIN)/python -m pytest -n 2 --dist worksteal -m "not timing" $(ARGS)
	exec $(BIN)/python -m pytest -n 0 -m timing $(ARGS)

# The quick tests again, on another PostgreSQL than the wheel's, and what is for MariaDB.
test-matrix: $(STAMP)
	@test -n "$$HANDRAIL_TEST_POSTGRESQL_URL$$HANDRAIL_TEST_MARIADB_URL" || { echo "set HANDRAIL_TEST_POSTGRESQL_URL to a second PostgreSQL, or HANDRAIL_TEST_MARIADB_URL"; exit 2; }
	@test -z "$$HANDRAIL_TEST_POSTGRESQL_URL" || exec env HANDRAIL_SANDBOX_URL="$$HANDRAIL_TEST_POSTGRESQL_URL" $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not timing and not mariadb" $(ARGS)
	@test -z "$$HANDRAIL_TEST_MARIADB_URL" || exec $(BIN)/python -m pytest -n 2 --dist worksteal -m mariadb $(ARGS)

check: static quick

static: $(STAMP)
	$(call stage,format,$(BIN)/ruff format --check .)
	$(call stage,lint,$(BIN)/ruff check .)
	$(call stage,types,$(BIN)/mypy)
	$(call stage,layers,$(BIN)/lint-imports)
	$(call stage,caps,$(BIN)/python tools/caps.py)
	$(call stage,news,$(BIN)/towncrier build --draft --version next)
	$(call stage,docs,$(BIN)/python -m pytest -q -n 2 -m "not slow" tests/test_docs.py)

quick: $(STAMP)
	$(call stage,tests,$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not timing and not mariadb" --ignore tests/test_docs.py $(ARGS))

format: $(STAMP)
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

pins: $(STAMP)
	$(UV_PIP) compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make pins" --extra dev pyproject.toml --output-file requirements.txt

benchmark: $(STAMP)
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/snapshot.py
	$(BIN)/python benchmarks/matrix.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/rows.py
	$(BIN)/python benchmarks/review.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
