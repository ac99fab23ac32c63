# Strongroom's commands. `make test` is what CI runs; `make demo` shows the whole way in a minute.
.DEFAULT_GOAL := help
.PHONY: help demo test lint bench fuzz docs install audit deps unit
SHELL := /bin/bash

PREFIX ?= /usr/local
# where cargo builds
TARGET := $(or $(CARGO_TARGET_DIR),target)
# seconds a fuzz target runs
FUZZ_SECONDS ?= 5
MDBOOK := 0.5.4
DENY := 0.20.2

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## installs the packages that demo and tests use (as root on Debian), else says what is missing
	@scripts/deps.sh

demo: deps ## a store, a sidecar, a container, and a value that changes in it
	@scripts/demo.sh

lint: ## formatting and clippy, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

unit: ## every test of the workspace, with the sum of all test binaries at the end
	@scripts/unit.sh

fuzz: ## every fuzz target for FUZZ_SECONDS each
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh

test: ## everything CI runs: lint, fuzz targets for a moment, all tests with real containers
	@scripts/deps.sh
	@scripts/flag-clients.sh
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory unit

bench: ## figures beside their limits, measured in the same run
	@scripts/bench.sh

docs: ## the book under docs/book (installs mdbook into target/tools when it is absent)
	@command -v mdbook >/dev/null || test -x target/tools/bin/mdbook || cargo install mdbook --version $(MDBOOK) --locked --root target/tools
	PATH="$$PATH:target/tools/bin" mdbook build
	cargo doc --workspace --no-deps --locked

audit: ## cargo-deny: bans, licences, sources, advisories (installs it into target/tools when it is absent)
	@command -v cargo-deny >/dev/null || test -x target/tools/bin/cargo-deny || cargo install cargo-deny --version $(DENY) --locked --root target/tools
	PATH="$$PATH:target/tools/bin" cargo deny check

install: ## the three programs into PREFIX/bin (default /usr/local)
	cargo build --release --locked -p strongroom-cli --bin strongroom
	cargo build --release --locked -p strongroom-sidecar
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(TARGET)/release/strongroom $(TARGET)/release/strongroom-sidecar $(DESTDIR)$(PREFIX)/bin/
	install -m 0755 "$$(scripts/build-run.sh)" $(DESTDIR)$(PREFIX)/bin/strongroom-run
