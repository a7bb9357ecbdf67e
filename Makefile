# `make test` and `make demo` do all the set-up that they need, once.

SHELL := /bin/bash
VENV ?= .venv
# Where the demo listens, and what is given to pytest and to the benchmarks.
ADDRESS ?= 127.0.0.1:8000
ARGS ?=
# Processes that share the tests.
JOBS ?= auto

# Tests and benchmarks start many processes: each would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help test demo bench lint format types docs changelog messages clean
.DEFAULT_GOAL := help

help:
	@echo "make test    environment, then every test (ARGS='-k name' for some)"
	@echo "make demo    environment, photographs, gallery and admin on http://$(ADDRESS)/ (ADDRESS=host:port for another)"
	@echo "make bench   the benchmarks, as Markdown (ARGS='warm --rounds 3' for some)"
	@echo "make lint    ruff, import-linter, typos"
	@echo "make format  let ruff rewrite the code"
	@echo "make types   mypy"
	@echo "make docs    docs/_build/html, warnings are errors"
	@echo "make changelog  what the release notes would be"
	@echo "make messages  the translations, with what modules and templates show by now"
	@echo "make clean   remove what these made, but the environment"

$(BIN)/python:
	@python=$$(.ci/pythons | head -n 1 | cut -d ' ' -f 2); \
	test -n "$$python" || exit 1; \
	echo "Making $(VENV) with $$python ..."; \
	"$$python" -m venv $(VENV)

# One stamp per set of extras: installed again when the requirements change.
$(VENV)/.installed-%: setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing imagekit-registry[$*] into $(VENV) ..."
	@$(PIP) install --editable '.[$*]'
	@touch $@

test: $(VENV)/.installed-test
	@.ci/programs
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

demo: $(VENV)/.installed-demo
	$(BIN)/python demo/manage.py migrate --verbosity 0
	$(BIN)/python demo/manage.py loaddemo --address $(ADDRESS)
	$(BIN)/python demo/manage.py generateimages
	$(BIN)/python demo/manage.py runserver $(ADDRESS)

# The peers have an environment of their own.
BENCH := benchmarks/.venv

$(BENCH)/.installed: benchmarks/requirements.txt setup.cfg
	@python=$$(.ci/pythons | head -n 1 | cut -d ' ' -f 2); \
	test -n "$$python" || exit 1; \
	"$$python" -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --quiet install -r $< --editable .
	@touch $@

# So have the servers of images, and `wrk`, which asks them.
$(BENCH)-serving/.installed: benchmarks/requirements-serving.txt setup.cfg
	@python=$$(.ci/pythons | head -n 1 | cut -d ' ' -f 2); \
	test -n "$$python" || exit 1; \
	"$$python" -m venv $(BENCH)-serving
	@$(BENCH)-serving/bin/python -m pip --disable-pip-version-check --quiet install -r $< --editable .
	@touch $@

bench: $(BENCH)/.installed $(if $(findstring serving,$(ARGS)),$(BENCH)-serving/.installed)
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/typos .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

docs: $(VENV)/.installed-docs
	$(BIN)/python -m docs.write_pictures
	$(BIN)/python -m docs.write_reference
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

changelog: $(VENV)/.installed-dev
	$(BIN)/towncrier build --draft --version unreleased

# Needs GNU gettext; what it writes is committed, the compiled catalogs too.
messages: $(VENV)/.installed-dev
	cd imagekit_registry && ../$(BIN)/django-admin makemessages --all --no-obsolete --no-wrap --add-location file
	cd imagekit_registry && ../$(BIN)/django-admin compilemessages

clean:
	rm -rf build dist docs/_build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path './.venv*' -prune -o -name __pycache__ -type d -exec rm -rf {} +
