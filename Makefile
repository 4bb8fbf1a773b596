# Each target sets up its own environment: a bare machine with Python 3.11 and PyPI is enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Of `make simulate` and `make torture`.
HISTORIES ?= 10000
ROUNDS    ?= 100
SEED      ?= 1

.PHONY: help demo test check e2e bench simulate torture docs lock clean
help:            ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("resetd needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: $(STAMP)   ## the main job on the embedded platform: events, a kill, a resume, the proof
	$(BIN)/resetd demo

test: $(STAMP)   ## the tests
	$(BIN)/python -m pytest -m "not e2e" -n 3 --dist loadfile --no-loadscope-reorder

check: $(STAMP)  ## linters, types, import contracts, generated documents (tests are `make test`)
	bash .ci/check

e2e: $(STAMP)    ## the tests on real outside systems, where their addresses are given
	bash .ci/e2e

torture: $(STAMP)  ## kills, stops and faults from a seed, and a judge: ROUNDS=n SEED=s (s:17: from round 17 on)
	$(BIN)/python -m tests.torture --rounds $(ROUNDS) --seed $(SEED) $(TORTURE)

bench: $(STAMP)  ## durable steps a second, beside raw commits and DBOS in the same run
	$(BIN)/python -m benchmarks

simulate: $(STAMP) ## HISTORIES=10000 SEED=1: the engine in virtual time, crashes and faults among all that can happen
	PYTHONHASHSEED=0 $(BIN)/python -W error -m tests.simulation $(HISTORIES) $(SEED)

docs: $(STAMP)   ## write the generated documents anew
	$(BIN)/python -m docs.generate

lock:            ## resolve the dependencies again (versions and hashes, no addresses)
	$(PYTHON) -m venv .lockenv && .lockenv/bin/pip install --quiet uv
	.lockenv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header \
	  --no-emit-index-url --no-emit-find-links --no-annotate \
	  --all-extras --group dev --group bench pyproject.toml --output-file requirements.lock
	rm -rf .lockenv

clean:           ## remove what the targets made
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
