#!/usr/bin/env bash
# Builds the guests of tests/it/outbound_guests.rs below target/peers/guests, each with the toolchain of its language:
# Rust with wstd and with spin-sdk, JavaScript with componentize-js, Python with componentize-py. What cannot be had in time is said, and
# its test passes without it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

sources=$PWD/tests/peers/guests
output=$PWD/target/peers/guests
mkdir -p "$output"

# Tools that hang must not hold the tests up.
bounded() {
    timeout 240 "$@" >>"$output/build.log" 2>&1
}

rust() {
    # A workspace of its own, outside of ours.
    cp -r "$sources/$1" "$output/"
    bounded env CARGO_TARGET_DIR="$output/rust" \
        cargo build --release --target wasm32-wasip2 --manifest-path "$output/$1/Cargo.toml" &&
        cp "$output/rust/wasm32-wasip2/release/caller.wasm" "$output/$1.wasm"
}

# The interfaces come with wasmtime's own crate; each toolchain knows those of a release of its own.
interfaces() {
    local crate
    crate=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/wasmtime-wasi-http-*/wit | tail -1)
    mkdir -p "$1" && cp -r "$crate/deps" "$1/" || return 1
    printf 'package test:guest;\nworld guest { include wasi:http/proxy@%s; }\n' "$2" >"$1/world.wit"
    sed -i -E "s/0\.2\.1[0-9]/$2/g" "$1"/deps/*.wit
}

javascript() {
    # npm leaves packages out where it installs over what it has installed.
    rm -rf "$output/js" && mkdir -p "$output/js" && cp "$sources"/*.js "$sources"/*.mjs "$output/js/" && interfaces "$output/js/wit" 0.2.10 &&
        bounded npm install --silent --no-audit --no-fund --prefix "$output/js" @bytecodealliance/componentize-js@0.23.0 &&
        (cd "$output/js" && bounded node build.mjs guest.js wit "$output/js.wasm")
}

python() {
    mkdir -p "$output/python" && cp "$sources/app.py" "$output/python/" && interfaces "$output/python/wit" 0.2.12 &&
        bounded python3 -m pip install --quiet --upgrade --target "$output/python/tool" componentize-py==0.25.1 &&
        (cd "$output/python" && PYTHONPATH=tool bounded tool/bin/componentize-py -d wit -w guest componentize app \
            -o "$output/python.wasm")
}

for language in wstd:rust spin:rust js:javascript python:python; do
    [ -s "$output/${language%:*}.wasm" ] || {
        echo "building a guest in ${language#*:}"
        "${language#*:}" "${language%:*}" || echo "not built: the guest in ${language#*:} (see $output/build.log)"
    }
done
exit 0
