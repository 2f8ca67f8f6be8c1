# make demo    install if needed, then train on drawn faces and compare with plain cross-entropy
# make test    install if needed, then run the tests; make test-slow runs those marked slow
# make test-oldest, make test-newest
#              the same tests with the oldest and the newest allowed packages, on Python 3.10 and 3.12
#              (PYTHON_OLDEST=..., PYTHON_NEWEST=...); TESTS=tests/methods/test_ldlva.py chooses some
# make lint    ruff, formatting included, mypy (make types), and the layers of imports
# make coverage   the tests of make test, and their branch coverage of ldl_fer, 93 % or more
# make mutation   breaks equations.py in every small way; a test must fail each time
# make browser install Debian's Chromium for the tests of the audit page (as root; else they skip)
# make venv    only install, into .venv; PYTHON=/path/to/python3.11 chooses the interpreter

# The first of some interpreters that is one of some versions of Python and can make a venv.
find = $(shell for p in $(1); do \
	$$p -c 'import sys, venv, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] not in "$(2)".split())' \
	2>/dev/null && { echo $$p; exit; }; done)
PYENV := $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions
PYTHON ?= $(or $(call find,python3 python3.11 python3.10 python3.12 python,3.10 3.11 3.12),python3)
PYTHON_OLDEST ?= $(call find,python3.10 $(wildcard $(PYENV)/3.10.*/bin/python3),3.10)
PYTHON_NEWEST ?= $(call find,python3.12 $(wildcard $(PYENV)/3.12.*/bin/python3),3.12)
BIN := .venv/bin
REQUIREMENTS := $(wildcard requirements*.txt) pyproject.toml .ci/install.py
FAST := -m pytest -m "not slow" -n auto --dist loadfile

.PHONY: venv demo test test-slow test-oldest test-newest lint types coverage mutation browser clean

venv: .venv/installed

.venv/installed: $(REQUIREMENTS)
	@command -v $(PYTHON) >/dev/null || { \
		echo "make venv: no Python found. Install Python 3.10, 3.11 or 3.12, or name one by PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) .ci/install.py
	@touch $@

.venv-oldest/installed: $(REQUIREMENTS)
	@test -n "$(PYTHON_OLDEST)" || { \
		echo "make test-oldest: no Python 3.10 found. Install python3.10 with its venv module, or name one by PYTHON_OLDEST=/path/to/python3.10."; exit 1; }
	@$(PYTHON_OLDEST) .ci/install.py oldest
	@touch $@

.venv-newest/installed: $(REQUIREMENTS)
	@test -n "$(PYTHON_NEWEST)" || { \
		echo "make test-newest: no Python 3.12 found. Install python3.12 with its venv module, or name one by PYTHON_NEWEST=/path/to/python3.12."; exit 1; }
	@$(PYTHON_NEWEST) .ci/install.py newest
	@touch $@

demo: venv
	@$(BIN)/python -m ldl_fer demo

test: venv
	$(BIN)/python $(FAST)

test-slow: venv
	$(BIN)/python -m pytest -m slow -n auto --dist loadfile --no-loadscope-reorder

test-oldest: .venv-oldest/installed
	.venv-oldest/bin/python $(FAST) $(TESTS)

test-newest: .venv-newest/installed
	.venv-newest/bin/python $(FAST) $(TESTS)

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: venv
	$(BIN)/mypy

coverage: venv
	$(BIN)/python $(FAST) --cov

mutation: venv
	$(BIN)/python .ci/mutate_equations.py

browser:
	@command -v chromium chromedriver >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium chromium-driver; } \
		|| echo "make browser: no Chromium could be installed; the audit page's tests will skip."

clean:
	rm -rf .venv .venv-oldest .venv-newest .pytest_cache .ruff_cache .mypy_cache .coverage *.egg-info
