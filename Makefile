# The commands of this project. make up and make test need Python 3.11+, make and a package registry; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/all.txt

.PHONY: up test check lock install format

up: install  ## the whole system on this machine, in the foreground
	@$(BIN)/rookery up

test: install  ## every test, on real parts that the tests start themselves
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: install  ## lint, types, import rules
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy . && $(BIN)/lint-imports

format: install
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

install: $(VENV)/.installed

# pip brings uv, and uv brings the rest: 12 s instead of 75, compiled, since seaborn takes 7 s at each start without bytecode.
$(VENV)/.installed: $(LOCK) pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(LOCK) requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# One lock for Python 3.11 to 3.13, without an index line.
lock: install
	@cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header base.in local.in dev.in --output-file all.txt
	@cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header base.in --output-file image.txt
	@cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --constraints all.txt dask.in --output-file dask.txt
	@cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header uv.in --output-file uv.txt
	@$(MAKE) --no-print-directory install

bench-hops: install  ## what an event's hop costs, against bare Celery
	@$(BIN)/python -m pytest -q -s -p tests.conftest --confcutdir=bench bench/hops/bench_hops.py bench/hops/bench_throughput.py

.PHONY: faults faults-long
faults: install  ## breaks everything that may break, in under ten minutes; writes bench/results/faults.json
	@$(BIN)/python -m tests.faults

faults-long: install  ## the same with the long numbers: hours
	@$(BIN)/python -m tests.faults --long

.PHONY: bench-serving
bench-serving: install  ## the prediction API against the naive service and the bare handler
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target build/bench-site --no-deps --require-hashes -r bench/serving/requirements.txt
	@PYTHONPATH=. BENCH_SITE=$(CURDIR)/build/bench-site $(BIN)/python -m bench.serving.run

.PHONY: bench-pipeline bench-hops bench-ingest
bench-pipeline: bench-ingest bench-hops  ## these two, from a request to served models, a large grid; then the table of all
	@PYTHONPATH=. $(BIN)/python -m bench.pipeline.run
	@PYTHONPATH=. $(BIN)/python -m bench.pipeline.table

ROWS ?= 1000000
FORMAT ?= both
bench-ingest: install  ## ingest and preprocess with a reader beside; ROWS=10000000 for more, FORMAT=csv or parquet for one
	@PYTHONPATH=. $(BIN)/python -m bench.ingest.run $(ROWS) $(FORMAT)
