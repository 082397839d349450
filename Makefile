# The commands of a fresh machine; `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

DEMO := deploy/demo
# Of everybody in $(DEMO)/users.csv; public, so for loopback only.
PASSWORD := demo-city-2026
CYCLES ?= 200
CASES ?= 10500
DEVICES ?= 100000
CONNECTED ?= 10000
MINUTES ?= 10
RELEASE := cargo build --release --locked -p hub --features influx
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))/release

BOOK := target/book

.PHONY: help run test console book reference package bench field crash soak scenarios laws

help: ## lists these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1 - \2/p' Makefile

run: console ## builds everything and runs the demo city with simulated sensors; Ctrl-C stops it
	@$(RELEASE)
	token() { sed -n "/^\[auth.tokens.$$1\]/,/^\[/s/^token *= *\"\(.*\)\"/\1/p" $(DEMO)/hub.toml; }
	hub= sensors= ready=
	stop() {
	  trap - INT TERM EXIT
	  kill -TERM $$sensors $$hub 2>/dev/null || true
	  wait || true
	}
	trap stop EXIT
	trap 'exit 0' INT TERM
	# Whoever is there already keeps what was changed since.
	admin() { $(TARGET)/cityhub admin user "$$@" --config $(DEMO)/hub.toml; }
	known=$$(admin list)
	while IFS=, read -r name role shown; do
	  grep -qw "^$$name" <<< "$$known" ||
	    admin add $$name --role $$role --display-name "$$shown" <<< $(PASSWORD) > /dev/null
	done < <(tail -n +2 $(DEMO)/users.csv)
	# The log comes through a descriptor, so that the `ready` line can be waited for.
	exec {log}< <(exec $(TARGET)/cityhub run --config $(DEMO)/hub.toml 2>&1)
	hub=$$!
	while [ -z "$$ready" ] && read -r line <&$$log; do
	  printf '%s\n' "$$line"
	  if [[ $$line == *ready*http=* ]]; then ready=$$line; fi
	done
	if [ -z "$$ready" ]; then
	  echo "The hub did not start. A port that is taken can be another one for this run:" >&2
	  echo "CITYHUB__HTTP__LISTEN=127.0.0.1:8090 (CITYHUB__DRIVERS__MQTT__LISTEN, CITYHUB__DRIVERS__INGEST__LISTEN, …) make run" >&2
	  exit 1
	fi
	cat <&$$log &
	# The addresses are those of the `ready` line, whatever the configuration says.
	address() { grep -o "$$1=[^ ]*" <<< "$$ready" | cut -d = -f 2; }
	http=$$(address http)
	# Drivers of the demo are called as the simulator calls their protocols.
	drivers=$$(grep -oE '[a-z0-9_]+\.(listen|connect)=[^ ]+' <<< "$$ready" | sed -E 's/\.[a-z]+=/=/; s/^/--address /')
	$(TARGET)/cityhub simulate --demo $$drivers \
	  --platform http://$$http --platform-token $$(token platform) --officer-token $$(token duty_script) > data/demo-sensors.log 2>&1 &
	sensors=$$!
	printf '\n  Console   http://%s/\n' "$$http"
	printf '  Sign in   admin, engineer, supervisor, supervisor2, officer, officer2, viewer or auditor, password $(PASSWORD)\n'
	printf '  Token     %s (for programs; platform: %s)\n' "$$(token automation)" "$$(token platform)"
	printf '  Sensors   data/demo-sensors.log\n  Ctrl-C stops the hub and its sensors.\n\n'
	# Whichever ends first ends the demo.
	wait -n || true

test: ## installs what the tests need, runs all that CI runs, ends with one line
	@tests/run-all

console: ## builds the console, where its sources are
	@if [ -f dashboards/console/package.json ]; then
	  cd dashboards/console && npm ci --no-fund --no-audit && npm run build
	fi

book: ## builds the handbook in both languages into target/book; needs mdbook (cargo install mdbook --locked)
	@for language in en zh-CN; do mdbook build docs/$$language; done
	cp docs/theme/index.html $(BOOK)/index.html
	printf 'open %s\n' "$(BOOK)/index.html"

reference: ## writes the generated pages of the handbook: configuration, API, commands, codes
	@UPDATE=1 cargo test -q -p tests --test tidy -- the_generated_pages

package: console ## makes the Debian package and the offline bundle in target/packages
	@$(RELEASE)
	version=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
	if command -v mdbook > /dev/null; then $(MAKE) --no-print-directory book; fi
	mkdir -p target/packages
	export SBOM=$$PWD/target/packages/cityhub-$$version.cdx.json
	node deploy/sbom.mjs $(TARGET)/cityhub > "$$SBOM"
	deploy/debian/build.sh $(TARGET)/cityhub $$version target/packages
	deploy/bundle/make.sh $(TARGET)/cityhub $$version target/packages

bench: ## prints the figures beside those of a bare broker in the same run
	@$(RELEASE)
	cargo build --release --locked -p tests --bin bench
	CITYHUB_BIN=$(TARGET)/cityhub $(TARGET)/bench figures
	cargo bench --locked -p store --bench store
	cargo bench --locked -p rules --bench engine
	cargo bench --locked -p rules --bench memory
	cargo bench --locked -p model --bench geo
	cargo bench --locked -p sdk --bench trace
	for bench in drivers/*/benches/frames.rs; do
	  driver=$${bench#drivers/}
	  cargo bench --locked -p driver-$${driver%%/*} --bench frames
	done

field: ## connects a thousand devices of each field protocol, and peers that misbehave
	@$(RELEASE)
	tests/foreign/field_load.py $(TARGET)/cityhub

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
