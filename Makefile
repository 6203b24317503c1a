# `make help` says what there is.
SHELL := /bin/bash -euo pipefail
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := install
.DELETE_ON_ERROR:

# The system's own Python: version managers and active environments come and go, and must not end up in .venv.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
unexport PYTHONPATH PYTHONHOME PYTHONUNBUFFERED VIRTUAL_ENV PIP_REQUIRE_VIRTUALENV PIP_USER
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH):/usr/sbin:/sbin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

VERSION := $(shell sed -n 's/^version: *//p' galaxy.yml)
TARBALL := build/slipway-docker-$(VERSION).tar.gz
COLLECTIONS := $(CURDIR)/build/collections
INSTALLED := build/collections/ansible_collections/slipway/docker/MANIFEST.json
CONTENT := $(shell find galaxy.yml README.md LICENSE meta changelogs docs playbooks plugins roles -type f -not -name '*.pyc' 2>/dev/null)
# One more when a file has gone, which no newer file would show.
LISTING := build/.content-$(shell printf '%s\n' $(CONTENT) | cksum | cut -d ' ' -f 1)

export ANSIBLE_COLLECTIONS_PATH := $(COLLECTIONS)
export ANSIBLE_CALLBACK_RESULT_FORMAT := yaml
export ANSIBLE_PIPELINING := true
export ANSIBLE_LOCALHOST_WARNING := false
export ANSIBLE_INVENTORY_UNPARSED_WARNING := false
export ANSIBLE_DISPLAY_SKIPPED_HOSTS := false

##@ Try it
PLAYBOOK = $(BIN)/ansible-playbook $(if $(SUDO),$(shell sudo -n true 2>/dev/null || echo --ask-become-pass))
QUICKSTART := -e @build/collections/ansible_collections/slipway/docker/playbooks/vars/quickstart.yml

.PHONY: quickstart
quickstart: $(VENV)/.quickstart $(INSTALLED) ## the engine, and an app of three tiers, on this machine
	@$(PLAYBOOK) slipway.docker.quickstart $(ARGS)

.PHONY: quickstart-plan
quickstart-plan: $(VENV)/.quickstart $(INSTALLED) ## what `make quickstart` would change, and why
	@$(PLAYBOOK) slipway.docker.plan $(QUICKSTART) $(ARGS)

.PHONY: quickstart-down
quickstart-down: $(VENV)/.quickstart $(INSTALLED) ## remove the app; its data too with VOLUMES=quickstart-data
	@$(PLAYBOOK) slipway.docker.teardown $(QUICKSTART) \
	  $(if $(VOLUMES),-e '{"slipway_destroy": {"volumes": ["$(VOLUMES)"]}}') $(ARGS)

##@ Work on it
.PHONY: build install
build: $(TARBALL) ## the collection as an archive
install: $(INSTALLED) ## the collection in build/collections, where all tests look

# See tests/harness/lanes.py; with LANES=0 all tests run in one process, in the order of the folders.
LANES ?= 2
IN_LANES := -n $(LANES) --max-worker-restart 0

.PHONY: test
test: lint $(VENV)/.libvirt | packages ## everything: lint, unit, integration, Molecule
	$(BIN)/pytest tests $(IN_LANES) $(ARGS)

.PHONY: test-unit
test-unit: $(VENV)/.test $(INSTALLED) ## the tests without an engine or a hypervisor (a minute or two)
	$(BIN)/pytest tests/unit $(ARGS)

.PHONY: test-integration
test-integration: $(VENV)/.test $(VENV)/.libvirt $(INSTALLED) | packages ## the tests against a real engine (minutes)
	$(BIN)/pytest tests/harness tests/integration $(IN_LANES) $(ARGS)

.PHONY: exam
exam: $(VENV)/.test $(INSTALLED) | packages ## the promises on random examples, in full (an hour); see tests/exams/exam.py
	SLIPWAY_EXAM_SCALE=$${SLIPWAY_EXAM_SCALE:-1} $(BIN)/pytest tests/exams $(ARGS)

SCENARIO ?= native
.PHONY: molecule
molecule: $(VENV)/.test $(VENV)/.libvirt $(INSTALLED) | packages ## one scenario: make molecule SCENARIO=native
	$(BIN)/molecule test -s $(SCENARIO) $(ARGS)

.PHONY: bench
bench: $(VENV)/.test $(INSTALLED) | packages ## how long it takes, beside community.docker and Compose
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

.PHONY: bench-machines
bench-machines: $(VENV)/.test $(VENV)/.libvirt $(INSTALLED) | packages ## how long machines take, beside plain virsh start (ten minutes, emulated)
	$(BIN)/python tests/benchmarks/machines.py $(ARGS)

.PHONY: bench-engine-start
bench-engine-start: $(VENV)/.test $(VENV)/.libvirt | packages ## how soon the small Linux's engine listens, beside a full Debian's (ten minutes, emulated)
	$(BIN)/python tests/benchmarks/engine_start.py $(ARGS)

.PHONY: lint
lint: $(VENV)/.test $(INSTALLED) ## ruff, ansible-lint, yamllint, changelog
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline
	$(BIN)/antsibull-changelog lint

.PHONY: format
format: $(VENV)/.test ## put the code in the common form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## remove what was built; .venv stays
	rm -rf build .pytest_cache .ruff_cache .hypothesis .ansible

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- The tools ---------------------------------------------------------------------------------------------------------

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  command -v apt-get >/dev/null || { echo "Python's venv is missing: install it for $(PYTHON), then run make again" >&2; exit 1; }; \
	  echo "Python here has no venv and pip: installing the package python3-venv$(if $(SUDO), with sudo)"; \
	  $(SUDO) apt-get update -qq && $(SUDO) apt-get install -qq --yes --no-install-recommends python3-venv >/dev/null; }
	@$(PYTHON) -m venv --clear $(VENV)

PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt

# The smaller set first, so that the quickstart waits for nothing it does not use.
$(VENV)/.quickstart: requirements/quickstart.txt requirements/constraints.txt $(VENV)/bin/pip
	@echo "Installing Ansible in .venv"
	@$(PIP) -r $<
	@touch $@

$(VENV)/.test: requirements/test.txt requirements/lint.txt $(VENV)/.quickstart
	@echo "Installing the test tools in .venv"
	@$(PIP) -r $<
	@touch $@

# It is compiled against the libvirt that is there, so the packages come first.
$(VENV)/.libvirt: requirements/libvirt.txt $(VENV)/.test | packages
	@echo "Building libvirt for Python in .venv"
	@$(PIP) -r $<
	@touch $@

.PHONY: packages
packages: # for tests; see requirements/debian.txt
	@.ci/packages

# --- The collection ----------------------------------------------------------------------------------------------------

$(LISTING):
	@mkdir -p build && rm -f build/.content-* && touch $@

$(TARBALL): $(CONTENT) $(LISTING) | $(VENV)/.quickstart
	@$(BIN)/ansible-galaxy collection build --force --output-path build >/dev/null

$(INSTALLED): $(TARBALL)
	@rm -rf $(COLLECTIONS)/ansible_collections/slipway/docker
	@$(BIN)/ansible-galaxy collection install --force --no-deps --offline --collections-path $(COLLECTIONS) $(TARBALL) >/dev/null
	@touch $@
