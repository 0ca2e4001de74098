#!/usr/bin/env bash
# Builds h2spec, which checks servers of HTTP/2, as target/tools/h2spec for tests/it/h2spec.rs. Its sources come from
# H2SPEC_SOURCE, a checkout or a bare repository, or else from GitHub; Go and its libraries from Debian, or else as they
# are found. What cannot be had is said, and the test passes without it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=v2.6.0
package=github.com/summerwind/h2spec
origin=https://$package
libraries=(golang-golang-x-net-dev golang-github-fatih-color-dev golang-github-spf13-cobra-dev)
sudo=${SUDO-$([ "$(id -u)" = 0 ] || echo sudo)}
tool=$PWD/target/tools/h2spec

skip() {
    echo "not installed: h2spec, since $1"
    exit 0
}

[ -x "$tool" ] && exit 0
echo "building h2spec for tests"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sources=$work/src/$package

for from in "${H2SPEC_SOURCE-}" "$origin"; do
    [ -n "$from" ] || continue
    GIT_TERMINAL_PROMPT=0 timeout 120 git clone --quiet "$from" "$sources" 2>/dev/null && break
done
[ -e "$sources/go.mod" ] || skip "its sources cannot be had (H2SPEC_SOURCE names a copy)"
git -C "$sources" checkout --quiet "$version" 2>/dev/null || skip "its sources have no $version"

if ! command -v go >/dev/null || [ ! -d /usr/share/gocode/src/golang.org/x/net/http2 ]; then
    # Another installation on this machine may be under way: its end is awaited.
    { command -v apt-get && $sudo apt-get update -qq &&
        $sudo apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends golang-go "${libraries[@]}"; } \
        >/dev/null 2>&1
fi
command -v go >/dev/null || skip "there is no Go"

mkdir -p "$(dirname "$tool")"
# By Debian's libraries, and else by those that Go finds.
GO111MODULE=off GOFLAGS='' GOPATH=$work:/usr/share/gocode timeout 300 \
    go build -o "$tool" "$package/cmd/h2spec" 2>/dev/null ||
    (cd "$sources" && GOFLAGS=-mod=mod timeout 300 go build -o "$tool" ./cmd/h2spec 2>/dev/null) ||
    skip "it cannot be built: $(go version)"
exit 0
