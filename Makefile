# Two commands are all: `make app` starts the studio, `make test` runs every check.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
.PHONY: app test test-slow coverage fuzz docs-check lint train-tiny env browser clean

app: $(VENV)/.installed
	$(BIN)/python app.py

test: $(VENV)/.installed-dev browser lint
	$(BIN)/python -m pytest

# What takes too long for every day: twenty kills of one training run.
test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

# The whole suite, and which share of the package it runs.
coverage: $(VENV)/.installed-dev browser
	$(BIN)/python -m pytest --cov=aniface --cov-report=term:skip-covered --cov-fail-under=85

# Ten thousand hostile inputs for every reader of outside data: half an hour or more.
fuzz: $(VENV)/.installed-dev
	$(BIN)/python -m tests.fuzz -n 10000

# Every command of the guides is parsed, every Python line compiled, every link followed.
docs-check: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/test_docs.py

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every training script for a few steps on faces drawn by code: from nothing to a pipeline folder that paints.
train-tiny: $(VENV)/.installed-dev
	$(BIN)/python -m train.train_tiny --output_dir runs/tiny

env: $(VENV)/.installed-dev

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@

# The browser tests use an installed Chromium (CHROMIUM names another one), else the one that Playwright or the system can install.
browser: $(VENV)/.installed-dev
	@$(BIN)/python tests/browser.py || (apt-get update && apt-get install --yes chromium) || $(BIN)/playwright install --with-deps chromium
	@$(BIN)/python tests/browser.py

clean:
	rm -rf $(VENV) build dist runs test-output
