# Everything a new user needs: `make up`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
PROFILE ?= laptop

.PHONY: up test check clean help venv venv-dev
.DEFAULT_GOAL := help

up: venv ## from nothing to a verified image: detect, plan, lock, build, verify, report
	@$(VENV)/bin/sovstack up $(PROFILE)

test: venv-dev ## run the tests
	@$(VENV)/bin/python -m pytest -n 2 --dist loadgroup $(PYTEST)

check: venv-dev ## style, format and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

clean: ## remove what was built (fetched packages stay in the user's cache)
	rm -rf build $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

venv:
	@$(PYTHON) stack/host/bootstrap.py $(VENV)

venv-dev:
	@$(PYTHON) stack/host/bootstrap.py $(VENV) dev
