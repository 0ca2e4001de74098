#!/usr/bin/env bash
# Builds target/pgo/watershed: like `make dist`, but compiled by a profile of what runs under load before
# it is laid out.
#
# The program is built twice, each time as long as `make dist`: once to count what runs, and once with
# these counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[ -x "$profdata" ] || rustup component add llvm-tools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# With --target, the flags do not apply to build scripts and macros.
build() {
    RUSTFLAGS=$1 CARGO_TARGET_DIR=target/pgo/$2 cargo build --profile dist --locked --target "$host" --bin watershed
}

build "-Cprofile-generate=$work/counts" instrumented
benches/train.sh "target/pgo/instrumented/$host/dist/watershed"
"$profdata" merge -o "$work/profile" "$work/counts"
build "-Cprofile-use=$work/profile -Clink-arg=-Wl,--emit-relocs" guided
benches/lay-out.sh "target/pgo/guided/$host/dist/watershed" target/pgo/watershed
