#!/usr/bin/env bash
# Builds target/pgo/watershed: the dist profile, guided by what the program does under load.
#
# It is built twice, each time as long as `make dist`: once to count what runs while it serves both
# worlds, fresh and reused sandboxes, small and large bodies, and once with these counts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[ -x "$profdata" ] || rustup component add llvm-tools
command -v wrk >/dev/null || {
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends wrk >/dev/null
}

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

# With --target, build scripts and macros are left alone.
build() {
    RUSTFLAGS=$1 CARGO_TARGET_DIR=target/pgo/$2 cargo build --profile dist --locked --target "$host" --bin watershed
}

service() { # NAME COMPONENT REUSE
    cat >"$work/services/$1.toml" <<TOML
[[versions]]
name = "v1"
component = "$PWD/plugins/dist/$2.wasm"
env = { GREETING = "Hello", VERSION = "v1" }
limits = { instance-reuse = $3 }

[[versions]]
name = "v2"
component = "$PWD/plugins/dist/$2.wasm"
env = { GREETING = "Bonjour", VERSION = "v2" }
limits = { instance-reuse = $3 }

[traffic]
split = { v1 = 90, v2 = 10 }
TOML
}

load() { # SERVICE CONNECTIONS SECONDS PATH [WRK ARGUMENTS]
    wrk -t1 -c"$2" -d"$3s" -H "Host: $1.localhost" "${@:5}" "$url$4" >/dev/null
}

train() {
    mkdir "$work/services"
    printf '[server]\nlisten = ["127.0.0.1:0"]\nthreads = 1\n[admin]\nlisten = "127.0.0.1:0"\n[state]\ndirectory = "state"\n' >"$work/watershed.toml"
    service fresh greeter 1
    service warm greeter 1000
    service p3 lab-p3 1
    echo 'wrk.method = "POST"; wrk.body = string.rep("some words here ", 200)' >"$work/post.lua"
    "$1" run --config "$work/watershed.toml" >"$work/out" 2>"$work/err" &
    server=$!
    for _ in $(seq 300); do
        grep -q '^http' "$work/out" && break
        sleep 0.1
    done
    url=$(sed -n 's/^listening on //p' "$work/out")
    [ -n "$url" ] || { cat "$work/err" >&2; exit 1; }
    for connections in 1 32 256; do
        load fresh "$connections" 4 /
        load warm "$connections" 3 /
    done
    load p3 32 2 /
    load fresh 16 2 / -s "$work/post.lua"
    load fresh 16 2 '/stream?lines=20'
    load nobody 16 1 /
    kill "$server"
    wait "$server" || true
    server=
}

build "-Cprofile-generate=$work/counts" instrumented
train "target/pgo/instrumented/$host/dist/watershed"
"$profdata" merge -o "$work/profile" "$work/counts"
build "-Cprofile-use=$work/profile" guided
cp "target/pgo/guided/$host/dist/watershed" target/pgo/watershed
echo target/pgo/watershed
