# The commands of a fresh machine; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

DEMO := deploy/demo
CYCLES ?= 200
CASES ?= 10500
DEVICES ?= 100000
CONNECTED ?= 10000
MINUTES ?= 10
RELEASE := cargo build --release --locked -p hub
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))/release

.PHONY: help run test console bench crash soak scenarios laws

help: ## lists these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1 - \2/p' Makefile

run: console ## builds everything and runs the demo city with simulated sensors; Ctrl-C stops it
	@$(RELEASE)
	token=$$(sed -n 's/^token *= *"\(.*\)"/\1/p' $(DEMO)/hub.toml | head -n 1)
	address() { sed -n "/^\[$$1\]/,/^\[/s/^listen *= *\"\(.*\)\".*/\1/p" $(DEMO)/hub.toml | head -n 1; }
	hub= sensors=
	stop() {
	  trap - INT TERM EXIT
	  kill -TERM $$sensors $$hub 2>/dev/null || true
	  wait || true
	}
	trap stop EXIT
	trap 'exit 0' INT TERM
	# The log comes through a descriptor, so that the `ready` line can be waited for.
	exec {log}< <(exec $(TARGET)/cityhub run --config $(DEMO)/hub.toml 2>&1)
	hub=$$!
	while read -r line <&$$log; do
	  printf '%s\n' "$$line"
	  [[ $$line == *ready*http=* ]] && break
	done || { echo "the hub did not start" >&2; exit 1; }
	cat <&$$log &
	$(TARGET)/cityhub simulate --demo --mqtt $$(address drivers.mqtt) --http $$(address drivers.ingest) > /dev/null &
	sensors=$$!
	printf '\n  Console  http://%s/#token=%s\n  Token    %s\n  Ctrl-C stops the hub and its sensors.\n\n' "$$(address http)" "$$token" "$$token"
	# Whichever ends first ends the demo.
	wait -n || true

test: ## installs what the tests need, runs all that CI runs, ends with one line
	@tests/run-all

console: ## builds the console, where its sources are
	@if [ -f dashboards/console/package.json ]; then
	  cd dashboards/console && npm ci --no-fund --no-audit && npm run build
	fi

bench: ## prints the figures beside those of a bare broker in the same run
	@$(RELEASE)
	cargo build --release --locked -p tests --bin bench
	CITYHUB_BIN=$(TARGET)/cityhub $(TARGET)/bench figures
	cargo bench --locked -p store --bench store
	cargo bench --locked -p rules --bench engine
	cargo bench --locked -p rules --bench memory
	cargo bench --locked -p model --bench geo

crash: ## kills the hub CYCLES times under load
	@$(RELEASE)
	CITYHUB_BIN=$(TARGET)/cityhub CYCLES=$(CYCLES) \
	  cargo test --locked -p tests --test e2e -- --nocapture --test-threads 1 crash::

soak: ## registers DEVICES, connects CONNECTED for MINUTES, prints the memory each minute
	@$(RELEASE)
	cargo build --release --locked -p tests --bin bench
	CITYHUB_BIN=$(TARGET)/cityhub $(TARGET)/bench soak $(DEVICES) $(CONNECTED) $(MINUTES)

scenarios: ## judges every labelled scenario with the release build and prints the table
	@$(RELEASE)
	CITYHUB_BIN=$(TARGET)/cityhub \
	  cargo test --locked -p tests --test e2e -- --nocapture scenarios::

laws: ## holds the rule engine to its laws over a million readings each
	PROPTEST_CASES=$(CASES) cargo test --release --locked -p rules --test rules -- --nocapture laws::
