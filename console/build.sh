#!/usr/bin/env bash
# Builds the console into a folder: console/dist, or the one named by the first argument. The same sources and the same
# lockfile give the same bytes. Ends with 3 where Node or a package is missing and cannot be had.
set -euo pipefail

console=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$console/dist}"
output=$(cd "${1:-$console/dist}" && pwd)

have_node() {
    command -v npm >/dev/null &&
        node -e 'const [major, minor] = process.versions.node.split("."); process.exit(+major > 20 || (+major == 20 && +minor >= 19) ? 0 : 1)' 2>/dev/null
}

install_node() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get install --yes --no-install-recommends nodejs npm >&2
}

have_node || { install_node && have_node; } || { echo "build.sh: Node 20.19 or newer is needed" >&2; exit 3; }

cd "$console"
npm ci --prefer-offline --no-audit --no-fund ||
    { echo "build.sh: the packages of package-lock.json cannot be had" >&2; exit 3; }
npm run build -- --outDir "$output" --emptyOutDir
