#!/usr/bin/env bash
# Loads a program with everything that a profile should cover: both worlds, fresh and reused sandboxes, one
# connection and many, small and large bodies, rules and keys, requests without a service. `train.sh PROGRAM`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v wrk >/dev/null || {
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends wrk >/dev/null
}

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

service() { # NAME COMPONENT REUSE [TRAFFIC]
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
${4-}
TOML
}

load() { # SERVICE CONNECTIONS SECONDS PATH [WRK ARGUMENTS]
    wrk -t1 -c"$2" -d"$3s" -H "Host: $1.localhost" "${@:5}" "$url$4" >/dev/null
}

mkdir "$work/services"
printf '[server]\nlisten = ["127.0.0.1:0"]\nthreads = 1\n[admin]\nlisten = "127.0.0.1:0"\n[state]\ndirectory = "state"\n' >"$work/watershed.toml"
service fresh greeter 1
service warm greeter 1000
service p3 lab-p3 1
service decided greeter 1 '
[[traffic.rules]]
name = "team"
match = { path = "/app/*", header = { x-team = "core" } }
version = "v2"

[traffic.sticky]
key = "header:x-user"
mode = "hash"'
echo 'wrk.method = "POST"; wrk.body = string.rep("some words here ", 200)' >"$work/post.lua"

"$1" run --config "$work/watershed.toml" >"$work/out" 2>"$work/err" &
server=$!
for _ in $(seq 600); do
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
load decided 32 1 /app/cart -H 'x-team: core'
load decided 32 1 / -H 'x-user: ann'
load fresh 16 2 / -s "$work/post.lua"
load fresh 16 2 '/stream?lines=20'
load nobody 16 1 /

# The program writes its profile when it ends.
kill "$server"
wait "$server"
server=
