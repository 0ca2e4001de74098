# The commands of the project; `make` alone lists them.

CONFIG ?= config/watershed.toml
# What a new Debian machine lacks: a C toolchain and cmake, for the C libraries in our dependencies.
TOOLS := cc cmake
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.DEFAULT_GOAL := help
.PHONY: help run test fuzz bench bench-peers dist pgo plugins lint tools

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: tools ## build in release and serve config/ (CONFIG=… for another)
	cargo run --release --locked -- run --config $(CONFIG)

test: tools ## run everything that must pass
	cargo test --release --locked

fuzz: tools ## throw any text at what reads the configuration and requests, a minute a target (FUZZ_SECONDS=…)
	fuzz/run

bench: dist ## measure: criterion, then the goals against the peers that are found (TABLE=--help)
	cargo build --locked --profile dist --example bare_pingora
	cargo bench --locked --profile dist --bench hot_path
	cargo bench --locked --profile dist --bench table -- $(TABLE)

bench-peers: tools ## install what bench compares with: wasmtime, workerd, envoy, nginx, haproxy, wrk
	benches/peers.sh

dist: tools ## build target/dist/watershed, for packages (fat LTO: ten minutes and more)
	cargo build --profile dist --locked

pgo: tools ## build target/pgo/watershed: dist, guided by a profile (twice as long, faster by a sixth)
	benches/pgo.sh

plugins: tools ## rebuild plugins/dist/*.wasm
	plugins/build.sh

lint: tools ## formatting, clippy, licences
	cargo fmt --check
	cd plugins && cargo fmt --check
	cd fuzz && cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
	cargo deny check bans licenses sources

tools:
	@command -v cargo >/dev/null || { echo "install Rust first: https://rustup.rs"; exit 1; }
	@for tool in $(TOOLS); do command -v $$tool >/dev/null || missing=1; done; \
	if [ -n "$$missing" ]; then \
		echo "installing build-essential and cmake"; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends build-essential cmake >/dev/null; \
	fi
