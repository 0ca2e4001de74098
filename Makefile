# The commands of the project; `make` alone lists them.

CONFIG ?= config/watershed.toml
BINARY ?= target/release/watershed
# A new Debian machine lacks these: a C toolchain and cmake, for the C libraries in our dependencies; and clients of HTTPS,
# with which the README and the tests ask.
TOOLS := cc cmake curl openssl
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# Builds with relocations, which llvm-bolt needs to lay a program out.
LINKED := CARGO_TARGET_DIR=target/linked RUSTFLAGS=-Clink-arg=-Wl,--emit-relocs

.DEFAULT_GOAL := help
.PHONY: help run test test-console soak fuzz bench bench-peers dist pgo package test-package plugins console lint tools promtool test-peers test-guests h2spec

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: tools ## build in release and serve config/ (CONFIG=… for another)
	cargo run --release --locked -- run --config $(CONFIG)

test: tools promtool test-peers h2spec ## run everything that must pass
	cargo test --release --locked
	$(MAKE) test-console

test-console: ## run the console in a browser against the real binary (BINARY=… for another)
	$(if $(filter $(BINARY),target/release/watershed),cargo build --release --locked --bin watershed)
	@SUDO="$(SUDO)" WATERSHED_BIN=$(abspath $(BINARY)) tests/console/run.sh

soak: tools ## run half an hour of mixed traffic while everything around it changes (SOAK_SECONDS=…)
	cargo test --release --locked --test it -- --ignored --exact --nocapture soak::soak

fuzz: tools ## feed random input to the readers of configurations and requests, a minute a target (FUZZ_SECONDS=…)
	fuzz/run

bench: tools ## run criterion, then measure the goals against the installed peers (TABLE=--help)
	$(LINKED) cargo build --locked --profile dist --bin watershed --example bare_pingora --bench hot_path --bench table
	benches/lay-out.sh target/linked/dist/watershed target/dist/watershed
	install -D target/linked/dist/examples/bare_pingora target/dist/examples/bare_pingora
	$(LINKED) cargo bench --locked --profile dist --bench hot_path
	$(LINKED) cargo bench --locked --profile dist --bench table -- $(TABLE)

bench-peers: tools ## install the peers of bench: wasmtime, workerd, envoy, nginx, haproxy, caddy, wrk
	benches/peers.sh

dist: tools ## build target/dist/watershed, for packages: fat LTO, laid out by what runs under load
	$(LINKED) cargo build --locked --profile dist --bin watershed
	benches/lay-out.sh target/linked/dist/watershed target/dist/watershed

pgo: tools ## build target/pgo/watershed: like dist, and compiled by a profile (twice as long)
	benches/pgo.sh

package: dist ## build target/package/watershed_*.deb
	cargo deb --version >/dev/null 2>&1 || cargo install cargo-deb --locked
	deploy/package.sh target/dist/watershed

test-package: ## try the package beside a systemd of its own, the image and the manifests, as far as this machine can (DEB=…)
	deploy/try.sh $(or $(DEB),$(wildcard target/package/watershed_*.deb))
	deploy/try-image.sh target/package/stage/watershed
	deploy/try-manifests.sh

plugins: tools ## rebuild plugins/dist/*.wasm
	plugins/build.sh

console: ## rebuild console/dist, which the program has in it (Node 20.19 or newer)
	console/build.sh

lint: tools ## check formatting, clippy and licences
	cargo fmt --all --check
	cd plugins && cargo fmt --check
	cd fuzz && cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	cargo clippy --release --locked -p faults -p misbehaving -- -D warnings
	cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
	cargo deny check bans licenses sources

tools:
	@command -v cargo >/dev/null || { echo "install Rust first: https://rustup.rs"; exit 1; }
	@for tool in $(TOOLS); do command -v $$tool >/dev/null || missing=1; done; \
	if [ -n "$$missing" ]; then \
		echo "installing build-essential, cmake, curl and openssl"; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends build-essential cmake curl openssl >/dev/null; \
	fi

# What tests of upstreams talk to: grpcio and WebSocket libraries.
test-peers:
	@tests/peers/install.sh

# Checks HTTP/2 against its RFCs; built here, since nobody packages it.
h2spec:
	@SUDO="$(SUDO)" tests/h2spec/install.sh

# Guests of other toolchains, which call out; apart, since they take minutes to build, and to compile in each test.
test-guests:
	@tests/peers/guests.sh

# Prometheus's linter of metrics, alone: Debian's package would also start a server, on the port of our admin listener.
promtool:
	@command -v promtool >/dev/null || [ -x target/tools/promtool ] || { \
		echo "fetching promtool"; \
		$(SUDO) apt-get update -qq; \
		mkdir -p target/tools && cd target/tools && \
		apt-get download -qq prometheus >/dev/null 2>&1 && \
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/promtool && \
		rm prometheus_*.deb; \
	} || echo "not fetched: promtool; the tests check the format of metrics by themselves"
