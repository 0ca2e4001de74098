#!/usr/bin/env bash
# Load on the shipped configuration: requests a second, latency, and CPU time a request.
#
#   benches/load.sh [BINARY] [SECONDS]
#
# The server runs on one pinned core and wrk on another, where there are two; it listens on ports
# that the system gives, and ends with the script. Nothing here passes or fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binary=${1:-target/dist/watershed}
seconds=${2:-5}

command -v wrk >/dev/null || {
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends wrk >/dev/null
}

work=$(mktemp -d)
mkdir "$work/services"
sed -e 's/^listen = \["127.0.0.1:8080"\]/listen = ["127.0.0.1:0"]/' -e 's/127.0.0.1:9090/127.0.0.1:0/' \
    -e 's/^threads = 0/threads = 1/' config/watershed.toml >"$work/watershed.toml"
sed "s|\.\./\.\./plugins|$PWD/plugins|" config/services/greeter.toml >"$work/services/greeter.toml"

on_server_core=() on_client_core=()
if [ "$(nproc)" -gt 1 ]; then
    on_server_core=(taskset -c 0) on_client_core=(taskset -c 1)
fi

"${on_server_core[@]}" "$binary" run --config "$work/watershed.toml" >"$work/out" 2>"$work/err" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do
    grep -q '^http' "$work/out" && break
    sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$work/out")
[ -n "$url" ] || { cat "$work/err" >&2; exit 1; }

ticks() { awk '{ print $14 + $15 }' "/proc/$server/stat"; }

printf '%-12s %12s %9s %9s %14s %9s\n' connections requests/s p50 p99 'CPU/request' RSS
for connections in 1 32 256; do
    before=$(ticks)
    "${on_client_core[@]}" wrk -t1 -c"$connections" -d"${seconds}s" --latency -H 'Host: greeter.localhost' "$url/" >"$work/wrk"
    after=$(ticks)
    if grep -q 'Non-2xx\|Socket errors' "$work/wrk"; then cat "$work/wrk"; exit 1; fi
    awk -v c="$connections" -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" \
        -v rss="$(awk '/VmRSS/ { print int($2 / 1024) " MiB" }' "/proc/$server/status")" '
        $1 == "50%" { p50 = $2 } $1 == "99%" { p99 = $2 }
        / requests in / { requests = $1 } /^Requests\/sec/ { rate = $2 }
        END { printf "%-12d %12d %9s %9s %11.1f µs %9s\n", c, rate, p50, p99, ticks / hz / requests * 1e6, rss }
    ' "$work/wrk"
done
