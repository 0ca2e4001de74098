#!/usr/bin/env bash
# Installs what tests/it/upstream_peers.rs talks to, below target/peers: a Python with grpcio, websockets and h2. nginx
# and node are used where they are installed. What cannot be had is said, and its tests pass without it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=$PWD/target/peers/venv
packages=(grpcio websockets h2 wsproto)

if "$venv/bin/python" -c "import grpc, websockets, h2, wsproto" 2>/dev/null; then
    exit 0
fi
echo "installing ${packages[*]} for tests"
python=$(command -v python3) || { echo "not installed: ${packages[*]}, since there is no python3"; exit 0; }
{ "$python" -m venv "$venv" || { rm -rf "$venv" && "$python" -m venv --without-pip "$venv"; }; } 2>/dev/null
if [ -x "$venv/bin/pip" ]; then
    timeout 180 "$venv/bin/pip" install --quiet --only-binary :all: "${packages[@]}" 2>/dev/null
else
    # Debian's Python has venv without pip.
    site=$("$venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))") &&
        timeout 180 "$python" -m pip install --quiet --only-binary :all: --target "$site" "${packages[@]}" 2>/dev/null
fi || echo "not installed: ${packages[*]}"
exit 0
