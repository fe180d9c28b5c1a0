# Two commands matter: `make demo` and `make test`. Everything runs from a virtual environment of its own.
# Paths are relative on purpose: the folder's own path may hold spaces.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
UV_VERSION := 0.13.9
PORT ?= 3000
BENCH ?= sync push webhooks marts pacing start

.PHONY: demo test bench lint dev setup setup-deploy lock clean

demo: setup                                  ## sync an invented Volt into an embedded Postgres, and show it
	$(BIN)/python -m volt_pipeline demo

# From VOLT_HOME, because Dagster warns of the dagster.yaml here; and without its advice to use `dg dev`, which is one
# more package for the same.
dev: setup                                   ## the Dagster UI and its daemon, on the same data as the commands
	@here=$$PWD && mkdir -p "$${VOLT_HOME:=.volt}" && cd "$$VOLT_HOME" && export VOLT_HOME="$$PWD" \
		&& if [ -z "$$DAGSTER_HOME" ]; then \
			export DAGSTER_HOME="$$PWD/dagster" && mkdir -p dagster && cp "$$here/dagster.yaml" dagster; \
		fi \
		&& export PYTHONWARNINGS='ignore:Function `dev_command` is superseded' \
		&& exec "$$here/$(BIN)/dagster" dev -w "$$here/workspace.yaml" -h 127.0.0.1 -p $(PORT)

test: setup                                  ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

bench: setup                                 ## how fast it is, beside bare loops in the same run; BENCH=sync for one
	for each in $(BENCH); do $(BIN)/python "benchmarks/$$each.py" $(ARGS) || exit 1; done

lint: setup                                  ## style, types and the layers of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing the pinned dependencies (about 800 MB, once) ..."
	@{ $(BIN)/python -m pip install --quiet uv==$(UV_VERSION) \
		&& $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --compile-bytecode \
			--require-hashes -r requirements.lock; } \
		|| $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

setup-deploy: setup                          ## and what a cluster's image holds beside that (deploy/Dockerfile)
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r deploy/requirements.lock \
		|| $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r deploy/requirements.lock

lock: setup                                  ## pin the dependencies of pyproject.toml again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra dev --extra celery --upgrade pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra celery --extra kubernetes --constraint requirements.lock --upgrade pyproject.toml \
		-o deploy/requirements.lock

clean:                                       ## forget the virtual environment and the embedded data
	rm -rf .venv .volt
