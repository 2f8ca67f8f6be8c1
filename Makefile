# make demo    install if needed, then train on drawn faces and compare with plain cross-entropy
# make test    install if needed, then run the tests; make test-slow runs those marked slow
# make test-oldest   the same tests with the oldest allowed versions, on Python 3.10
# make test-newest   the same tests with the newest TensorFlow and tf-keras, on Python 3.12
#                    TESTS="tests/test_a.py tests/test_b.py" names a part, for all of these
# make lint    ruff, formatting included, and mypy (make types)
# make coverage   all tests, and branch coverage of ldl_fer, 90 % or more
# make mutation   breaks equations.py in every small way; a test must fail each time
# make browser install Debian's Chromium for the tests of the audit page (as root; else they skip)
# make venv    only install, into .venv; PYTHON=/path/to/python3.11 chooses the interpreter
#              (PYTHON_OLDEST and PYTHON_NEWEST those of test-oldest and test-newest)

# The first of $(2) that is a Python of one of the versions $(1) and can make virtual environments.
found = $(shell for p in $(2); do \
	$$p -c 'import sys, venv, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] not in "$(1)".split())' \
	2>/dev/null && { echo $$p; exit; }; done)
pyenv = $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/$(1).*/bin/python3)

PYTHON ?= $(or $(call found,3.10 3.11,python3 python3.11 python3.10 python),$(call \
	found,3.12,python3 python3.12),python3)
PYTHON_OLDEST ?= $(or $(call found,3.10,python3.10 $(call pyenv,3.10)),python3.10)
PYTHON_NEWEST ?= $(or $(call found,3.12,python3.12 $(call pyenv,3.12)),python3.12)
BIN := .venv/bin
TESTS ?= tests
PYTEST = -m pytest $(TESTS) -n auto --dist loadfile

.PHONY: venv demo test test-slow test-oldest test-newest lint types coverage mutation browser clean

venv: .venv/installed

.venv/installed: INTERPRETER = PYTHON
.venv-oldest/installed: INTERPRETER = PYTHON_OLDEST
.venv-newest/installed: INTERPRETER = PYTHON_NEWEST
.venv/installed .venv-oldest/installed .venv-newest/installed: $(wildcard requirements*.txt) pyproject.toml .ci/install.py
	@python=$($(INTERPRETER)); command -v $$python >/dev/null || { \
		echo "make $(@D): there is no $$python. Install it, or name one by $(INTERPRETER)=/path/to/python."; \
		exit 1; }; $$python .ci/install.py $(@D)
	@touch $@

demo: venv
	@$(BIN)/python -m ldl_fer.demo

test: venv
	$(BIN)/python $(PYTEST) -m "not slow"

test-slow: venv
	$(BIN)/python $(PYTEST) -m slow

test-oldest test-newest: test-%: .venv-%/installed
	.venv-$*/bin/python $(PYTEST) -m "not slow"

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

coverage: venv
	$(BIN)/python -m pytest -n auto --dist loadfile --cov

mutation: venv
	$(BIN)/python .ci/mutate_equations.py

browser:
	@command -v chromium chromedriver >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium chromium-driver; } \
		|| echo "make browser: no Chromium could be installed; the audit page's tests will skip."

clean:
	rm -rf .venv .venv-oldest .venv-newest .pytest_cache .ruff_cache .mypy_cache .coverage *.egg-info
