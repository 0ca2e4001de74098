#!/usr/bin/env bash
# Loads a program with everything that a profile should cover: both worlds, fresh and reused sandboxes, upstreams, TLS and
# HTTP/2, one connection and many, small and large bodies, rules and keys, requests without a service. `train.sh PROGRAM`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=()
command -v wrk >/dev/null || packages+=(wrk)
command -v h2load >/dev/null || packages+=(nghttp2-client)
command -v openssl >/dev/null || packages+=(openssl)
if [ ${#packages[@]} -gt 0 ]; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

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

load_http2() { # SERVICE URL SECONDS
    h2load -c8 -m16 -D"$3" --connect-to="${2#*://}" "${2%%:*}://$1.localhost:${2##*:}/" >/dev/null
}

mkdir "$work/services"
cat >"$work/watershed.toml" <<TOML
[server]
listen = ["127.0.0.1:0"]
threads = 1

[server.tls]
listen = ["127.0.0.1:0"]

[[server.tls.certificates]]
certificate = "certificate.pem"
key = "key.pem"

[admin]
listen = "127.0.0.1:0"

[state]
directory = "state"
TOML
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:*.localhost' -keyout "$work/key.pem" -out "$work/certificate.pem" 2>/dev/null
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

: >"$work/out"
"$1" run --config "$work/watershed.toml" >"$work/out" 2>"$work/err" &
server=$!
for _ in $(seq 600); do
    grep -q '^listening on https' "$work/out" && break
    sleep 0.1
done
url=$(sed -n 's/^listening on \(http:\)/\1/p' "$work/out")
https=$(sed -n 's/^listening on \(https:\)/\1/p' "$work/out")
[ -n "$url" ] && [ -n "$https" ] || { cat "$work/err" >&2; exit 1; }

# The program is its own backend: its port is known only now.
cat >"$work/services/proxied.toml" <<TOML
[[versions]]
name = "v1"
upstream = { targets = ["${url#http://}"], host = "warm.localhost" }

[[versions]]
name = "v2"
upstream = { targets = ["${url#http://}"], host = "warm.localhost" }

[traffic]
split = { v1 = 90, v2 = 10 }
TOML
curl -sf --retry 20 --retry-delay 1 --retry-all-errors -o /dev/null -H 'Host: proxied.localhost' "$url"

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
for connections in 1 32; do
    load proxied "$connections" 4 /
    url=$https load warm "$connections" 2 /
done
load proxied 16 1 / -s "$work/post.lua"
for address in "$url" "$https"; do
    load_http2 warm "$address" 3
    load_http2 fresh "$address" 1
    load_http2 proxied "$address" 1
done
# Handshakes: a connection for each request.
url=$https load warm 8 2 / -H 'Connection: close'

# The program writes its profile when it ends.
kill "$server"
wait "$server"
server=
