#!/usr/bin/env bash
# Installs what tests talk to, below target/peers: a Python with grpcio, websockets and h2 for tests/it/upstream_peers.rs,
# and one with schemathesis for tests/it/openapi.rs; haproxy, and what nginx needs to speak PROXY, for
# tests/it/front_peers.rs. nginx and node are used where they are installed. What cannot be had is said, and its tests
# pass without it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# install DIRECTORY MODULES PACKAGE…: a Python of its own with these packages, unless it can import the modules already.
install() {
    local venv=$PWD/target/peers/$1 modules=$2 python site
    shift 2
    "$venv/bin/python" -c "import $modules" 2>/dev/null && return
    echo "installing $* for tests"
    python=$(command -v python3) || { echo "not installed: $*, since there is no python3"; return; }
    { "$python" -m venv "$venv" || { rm -rf "$venv" && "$python" -m venv --without-pip "$venv"; }; } 2>/dev/null
    if [ -x "$venv/bin/pip" ]; then
        timeout 180 "$venv/bin/pip" install --quiet --only-binary :all: "$@" 2>/dev/null
    else
        # Debian's Python has venv without pip.
        site=$("$venv/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))") &&
            timeout 180 "$python" -m pip install --quiet --only-binary :all: --target "$site" "$@" 2>/dev/null
    fi || echo "not installed: $*"
}

install venv "grpc, websockets, h2, wsproto" grpcio websockets h2 wsproto
install api schemathesis schemathesis==4.32.5
# Moves the clock of a process, for tests/it/faults.rs.
ls /usr/lib*/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || {
    echo "installing libfaketime for tests"
    [ "$(id -u)" = 0 ] && timeout 120 apt-get install -y -qq libfaketime >/dev/null 2>&1 ||
        echo "not installed: libfaketime"
}
command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || {
    echo "installing haproxy for tests"
    [ "$(id -u)" = 0 ] && timeout 120 apt-get install -y -qq --no-install-recommends haproxy >/dev/null 2>&1 ||
        echo "not installed: haproxy"
}
# The module alone: its package would have the machine's own nginx load it.
[ -e target/peers/nginx/ngx_stream_module.so ] || [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] ||
    ! { command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]; } || {
    echo "fetching nginx's stream module for tests"
    mkdir -p target/peers/nginx && (
        cd target/peers/nginx && timeout 120 apt-get download -qq libnginx-mod-stream >/dev/null 2>&1 &&
            dpkg-deb --fsys-tarfile libnginx-mod-stream_*.deb |
            tar -x --strip-components=5 ./usr/lib/nginx/modules/ngx_stream_module.so &&
            rm libnginx-mod-stream_*.deb
    ) || echo "not fetched: libnginx-mod-stream"
}
exit 0
