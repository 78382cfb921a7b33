# Everything the project needs is installed by `make setup`; the other targets call it.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
KERNELS := $(VENV)/.compiled
DEMO_ARGS ?=

.PHONY: setup demo test lint unit endurance accuracy places bench learning lock clean help

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP) $(KERNELS) ## Create .venv with the servicetime command from the hashed lock file

$(STAMP): requirements/all.txt pyproject.toml
	test -x $(BIN)/python || "$$(python3 requirements/fastest_python.py $(PYTHON))" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/all.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

# Machine code is made here, once for all later runs; of changed files, what depends on them is made anew.
$(KERNELS): $(STAMP) $(wildcard geofence/*.py) streams/varints.py streams/warm_up.py
	@echo Compiling the detection...
	@$(BIN)/python -c 'from streams.warm_up import warm_up; warm_up()'
	@$(BIN)/python -m compileall -q geofence models simulation streams
	touch $(KERNELS)

demo: setup ## The main job, end to end, on real recorded input
	$(BIN)/servicetime demo $(DEMO_ARGS)

test: setup lint ## Lint, types, import rules, then unit, property and real-Kafka tests
	$(BIN)/python -m pytest

lint: setup ## Lint, types and import rules alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: setup ## Tests that need no broker
	$(BIN)/python -m pytest --ignore tests/e2e

endurance: setup ## Long durability tests: 20 kills, a broker away for 3 minutes twice, 650,000 pings behind, 100,000 drivers
	KILLS=20 AWAY_S=180 BACKLOG_DAYS=20 STORED_DRIVERS=100000 $(BIN)/python -m pytest --junitxml=endurance.xml \
		tests/e2e/test_kill.py tests/e2e/test_backlog.py tests/e2e/test_restore.py

accuracy: setup ## Detection quality for every simulated profile and the real data, beside its peers
	$(BIN)/python -m benchmarks.accuracy $(ARGS)

places: setup ## What learned places win back where geocodes are wrong
	$(BIN)/python -m benchmarks.places $(ARGS)

bench: setup ## Speed beside peers: ratios, growth, delay (ARGS="--small --only kafka --write docs")
	$(BIN)/python -m benchmarks.bench $(ARGS)

learning: setup ## A simulated town learned from and proven, then the speed of training and scoring
	$(BIN)/python -m benchmarks.proof $(ARGS)
	$(BIN)/python -m benchmarks.learning

lock: ## Resolve the dependencies again (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/worker.txt
	uv pip compile pyproject.toml --extra dev --extra peers --extra scale --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements/all.txt

clean: ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info demo-report.html endurance.xml
