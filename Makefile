# Every target sets up what it needs first; a stamp under .make/ makes that free the next time.
# Needed beforehand: Python 3.11 or newer, git, make; for `demo` and `test` also Linux with Docker, or root on
# Debian or Ubuntu (then Docker is installed).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest
KEEP ?=
FILE ?=
CONFIGURATION ?= cdk.json
DEV_PROFILE ?=
PROD_PROFILE ?=

CODE := app.py slipway lambdas build_agent infra local bench tests
CHECKED := slipway lambdas build_agent infra local

.PHONY: help setup demo test test-one unit infra simulation e2e chain machines lint templates docs format screenshots bench soak chaos machine synth deploy profiles clean

help: ## what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .make/packages .make/cdk ## the virtual environment in .venv/ and the CDK command line

demo: setup ## a push becomes a running service, live in the terminal (KEEP=1 leaves it running)
	@$(BIN)/python -m local.demo $(if $(KEEP),--keep)

test: unit infra simulation e2e ## everything: unit, templates, simulation, the chain for real

unit: setup ## of `test`: the parts by themselves
	$(PYTEST) -n 2 tests/unit

test-one: setup ## one file or one test (FILE=tests/unit/test_requirements.py, or FILE=…::test_name)
	@test -n '$(FILE)' || { echo >&2 'make test-one: name the file, such as FILE=tests/unit/test_requirements.py'; exit 2; }
	$(PYTEST) '$(FILE)'

infra: setup ## of `test`: the templates, statement by statement
	$(PYTEST) -n 2 --dist loadfile tests/infra

simulation: setup ## of `test`: the protocol under lost, doubled and late messages, and crashes
	$(PYTEST) -n 2 tests/simulation

# Each waits more than it works, so they run side by side; the lines of `machines` come in one piece.
e2e: setup ## of `test`: the chain for real, and the package in an empty environment
	@$(MAKE) --no-print-directory --jobs 2 chain machines

chain: setup ## of `e2e`: all but what `machines` runs
	$(PYTEST) -m 'not chaos' --ignore tests/e2e/test_machine.py --ignore tests/e2e/test_following.py \
	  --ignore tests/e2e/test_builders.py tests/e2e

machines: setup ## of `e2e`: the build host as a machine that boots, rollouts while hosts sleep, and builds of CodeBuild
	@$(PYTEST) -m 'not qemu' tests/e2e/test_machine.py tests/machine tests/e2e/test_following.py \
	  tests/e2e/test_builders.py >.make/machines.txt 2>&1 || failed=1; \
	  cat .make/machines.txt; exit $${failed:-0}

lint: setup ## style, types, the direction of imports, shell scripts, no file over 400 lines
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/mypy $(CHECKED)
	$(BIN)/lint-imports
	git ls-files -z '*.sh' .ci/run local/machine/files/usr | xargs -0 -r $(BIN)/shellcheck
	@git ls-files -z '*.py' '*.js' '*.html' '*.css' '*.sh' | xargs -0 wc -l | \
	  awk '$$1 > 400 && $$2 != "total" { print $$2 ": " $$1 " lines, 400 at most"; bad = 1 } END { exit bad }'
	$(MAKE) --no-print-directory templates

# cdk-nag is part of the synth itself; the second configuration uses everything, two more use CodeBuild.
templates: setup .make/checkov ## the templates: AWS's IAM reference, cdk-nag, cfn-lint, checkov
	$(BIN)/python -m tests.infra.reference
	$(BIN)/python -m local.node cdk synth --quiet --no-notices --output .make/templates/example
	$(BIN)/python -m local.node cdk synth --quiet --no-notices --output .make/templates/full \
	  --context configuration=tests/infra/configurations/full.json
	for engine in overflow code-build; do \
	  $(BIN)/python -m local.node cdk synth --quiet --no-notices --output .make/templates/$$engine \
	    --context configuration=tests/infra/configurations/$$engine.json; done
	$(BIN)/cfn-lint .make/templates/*/*.template.json
	.venv-checkov/bin/checkov --directory .make/templates --framework cloudformation --skip-download \
	  --compact --quiet

docs: setup ## what is made from code: pages and JSON Schema of docs/, tests/infra/iam.md
	$(BIN)/python -m slipway.configuration.reference
	$(BIN)/python -m slipway.cli.reference
	$(BIN)/python -m tests.infra.iam_table

format: setup ## let ruff put the code in order
	$(BIN)/ruff check --fix $(wildcard $(CODE))
	$(BIN)/ruff format $(wildcard $(CODE))

screenshots: setup ## pages in Chromium: checked, and the pictures of docs/images/, from a real local run
	$(PYTEST) tests/browser/slack_page.py tests/browser/report_page.py tests/browser/story.py

bench: setup ## measure, side by side with other tools
	$(BIN)/python -m bench

soak: setup ## simulated histories with faults, resumable, and what they have seen
	$(BIN)/python -m tests.simulation.soak

machine: setup ## a build host with a kernel of its own, in QEMU: power key, memory (some minutes)
	$(PYTEST) -m qemu --timeout 1800 tests/machine

chaos: setup ## kill, starve and break the real chain; each case tells what it did
	EVERY_MOMENT=1 $(PYTEST) -n 2 tests/unit/slipway/rollout/test_stepwise.py tests/unit/slipway/following/test_between_steps.py
	$(PYTEST) --timeout 600 tests/e2e/chaos

synth: setup ## the templates, into cdk.out/ (CONFIGURATION=FILE for another than cdk.json)
	$(BIN)/python -m local.node cdk synth --quiet $(CHOSEN)

# One AWS profile cannot reach two accounts: each stack is deployed with its own account's.
CHOSEN = $(if $(filter-out cdk.json,$(CONFIGURATION)),--context 'configuration=$(CONFIGURATION)')

deploy: profiles setup ## both stacks (DEV_PROFILE=… PROD_PROFILE=…, and CONFIGURATION=FILE for another than cdk.json)
	$(BIN)/slipway config check '$(CONFIGURATION)'
	$(BIN)/slipway prepare --installation '$(CONFIGURATION)' --profile '$(PROD_PROFILE)'
	$(BIN)/python -m local.node cdk deploy '*-prod' --profile '$(PROD_PROFILE)' $(CHOSEN)
	$(BIN)/python -m local.node cdk deploy '*-dev' --profile '$(DEV_PROFILE)' $(CHOSEN)

profiles: ## of `deploy`: are both accounts named?
	@test -n '$(DEV_PROFILE)' -a -n '$(PROD_PROFILE)' || { \
	  echo >&2 'make deploy: name the AWS profiles of both accounts (one account: the same one twice), such as'; \
	  echo >&2 '  make deploy DEV_PROFILE=dev-admin PROD_PROFILE=prod-admin'; exit 2; }

clean: ## forget what setup, the local run and the checks made
	@test ! -x $(BIN)/slipway || $(BIN)/slipway local down
	rm -rf .venv .venv-checkov .make .local node_modules cdk.out .pytest_cache .ruff_cache .mypy_cache .import_linter_cache

# --- setup

# A stamp is worth nothing where somebody has removed what it stands for.
$(if $(wildcard $(BIN)/python),,$(shell rm -f .make/venv .make/packages))
$(if $(wildcard node_modules/.bin/cdk),,$(shell rm -f .make/cdk))
$(if $(wildcard .venv-checkov/bin/checkov),,$(shell rm -f .make/checkov))

# Debian's Python has no ensurepip without python3-venv: then pip comes from the machine's own.
.make/venv:
	@mkdir -p .make
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@echo "setup: virtual environment in .venv/"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { \
	  $(PYTHON) -m venv --clear --without-pip .venv && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@touch $@

.make/packages: requirements.txt requirements-dev.txt pyproject.toml | .make/venv
	@echo "setup: pinned packages (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.make/cdk: package.json package-lock.json .make/packages
	@echo "setup: CDK command line, and the forms of events"
	@$(BIN)/python -m local.node npm ci --no-audit --no-fund --silent
	@touch $@

.make/checkov: requirements-checkov.txt .make/packages
	@echo "setup: checkov in .venv-checkov/ (some minutes the first time)"
	@$(PYTHON) -m venv .venv-checkov 2>/dev/null || $(PYTHON) -m venv --clear --without-pip .venv-checkov
	@$(BIN)/python -m pip --python .venv-checkov/bin/python install --quiet --disable-pip-version-check \
	  -r requirements-checkov.txt
	@touch $@
