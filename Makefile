# make demo    install if needed, then train on drawn faces and compare with plain cross-entropy
# make test    install if needed, then run the tests; make test-slow runs those marked slow
# make lint    ruff, formatting included, and mypy (make types)
# make coverage   all tests, and branch coverage of ldl_fer, 90 % or more
# make mutation   breaks equations.py in every small way; a test must fail each time
# make browser install Debian's Chromium for the tests of the audit page (as root; else they skip)
# make venv    only install, into .venv; PYTHON=/path/to/python3.11 chooses the interpreter

PYTHON ?= $(shell for p in python3 python3.11 python3.10 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' \
	2>/dev/null && { echo $$p; exit; }; done; echo python3)
BIN := .venv/bin

.PHONY: venv demo test test-slow lint types coverage mutation browser clean

venv: .venv/installed

.venv/installed: requirements.txt requirements-extras.txt pyproject.toml .ci/install.py
	@command -v $(PYTHON) >/dev/null || { \
		echo "make venv: no Python found. Install Python 3.10 or 3.11, or name one by PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) .ci/install.py
	@touch $@

demo: venv
	@$(BIN)/python -m ldl_fer.demo

test: venv
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

test-slow: venv
	$(BIN)/python -m pytest -m slow -n auto --dist loadfile

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
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .coverage *.egg-info
