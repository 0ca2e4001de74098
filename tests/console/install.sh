#!/usr/bin/env bash
# Installs what the tests of the console need: Node, Debian's chromium with fonts for Chinese, and the packages of
# package-lock.json. It does nothing where all of it is there, and says what cannot be had.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

sudo=${SUDO-$([ "$(id -u)" = 0 ] || echo sudo)}
oldest=20
updated=

node_is_new() {
    [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')" -ge "$oldest" ] 2>/dev/null
}

fail() {
    echo "not installed: $1; the tests of the console cannot run"
    exit 1
}

install_packages() {
    [ -n "$updated" ] || $sudo apt-get update -qq || true
    updated=1
    # Another installation on this machine may be under way: its end is awaited.
    $sudo apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@" >/dev/null
}

if ! node_is_new || ! command -v npm >/dev/null; then
    echo "installing nodejs and npm for tests of the console"
    install_packages nodejs
    command -v npm >/dev/null || install_packages npm
    node_is_new || fail "Node $oldest or newer (Debian 13 has it; here is $(node --version 2>/dev/null || echo none))"
    command -v npm >/dev/null || fail "npm"
fi

if [ -z "${WATERSHED_CHROMIUM-}" ] && ! command -v chromium >/dev/null; then
    echo "installing chromium for tests of the console"
    install_packages chromium
    command -v chromium >/dev/null || fail "chromium"
fi

# Without such a font, pictures of Chinese pages show boxes; the tests pass all the same.
if command -v fc-list >/dev/null && [ -z "$(fc-list :lang=zh)" ]; then
    install_packages fonts-wqy-microhei || echo "not installed: a font for Chinese"
fi

# npm leaves a copy of the lock file beside what it has installed.
installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package-lock.json -nt "$installed" ] || [ package.json -nt "$installed" ]; then
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 timeout 300 npm ci --prefer-offline --no-audit --no-fund --loglevel=error || fail "packages of npm"
    touch "$installed"
fi
