# Every target sets up what it needs in .venv first, from nothing but a Python 3.11 or newer and the network.
#   make demo     everything on this machine: servers, service, 200 simulated pumps, a clinic. ARGS="--for 60" ends it by itself
#   make test     the tests, over real servers            make lint     style, types, import arrows
#                 one file, one at a time: make test WORKERS=0 ARGS=tests/core/test_alert.py
#   make check    both                                    make soak     the tests' full figures; takes long
#   make bench    messages a second and more, beside what is possible; writes build/bench.json and build/bench.html
#   make audit    is anything known to be wrong with what we ship? Says so where nobody can be asked
#   make sbom     what we ship, installed as it is deployed, and the list of it: build/sbom.json (CycloneDX)

.PHONY: demo test soak lint bench check audit sbom
.DELETE_ON_ERROR:

PIP = .venv/bin/python -m pip install --disable-pip-version-check --no-input
RUN = .venv/.ready-to-run
DEV = .venv/.ready-to-develop
# Tests wait more than they work. 0: one after the other, each in this process.
WORKERS = 4

demo: $(RUN)
	@.venv/bin/pumpwatch demo $(ARGS)

test: $(DEV)
	@.venv/bin/pytest -m "not soak" --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --junitxml build/tests.xml --durations 15 $(ARGS)

soak: $(DEV)
	@.venv/bin/pytest -m soak $(ARGS)

lint: $(DEV)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: $(DEV)
	@.venv/bin/python -m tests.benchmarks $(ARGS)

audit: $(DEV)
	@.venv/bin/python -m tests.deploy.audit $(ARGS)

sbom: $(DEV)
	@rm -rf build/environment
	@PYTHON=.venv/bin/python deploy/install build/environment
	@deploy/make-sbom build/environment/bin/python build/sbom.json
	@echo "build/sbom.json lists what build/environment holds"

check: lint test

$(RUN): .venv/bin/python requirements.txt pyproject.toml
	@$(PIP) --require-hashes -r requirements.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(DEV): .venv/bin/python requirements-dev.txt pyproject.toml
	@$(PIP) --require-hashes -r requirements-dev.txt
	@$(PIP) --no-deps -e .
	@touch $@ $(RUN)

.venv/bin/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo "This needs Python 3.11 or newer; 'python3' is older or absent. Name one: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$python cannot make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; \
	fi; \
	echo "Setting up .venv with $$($$python --version), once"; \
	$$python -m venv .venv
