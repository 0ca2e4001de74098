#!/usr/bin/env bash
# Lays out a linked program anew by what runs under load: `lay-out.sh PROGRAM OUTPUT`.
#
# A request runs through some 400 KB of machine code once, which no first-level cache holds: a processor
# waits for instructions more than for anything else. llvm-bolt puts the code that runs side by side and moves
# the rest away. It needs the relocations that the linker keeps with `--emit-relocs`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# llvm-bolt looks for its libraries beside its own file, and not beside a link to that file.
find_bolt() {
    local found
    found=$(command -v llvm-bolt || ls -v /usr/lib/llvm-*/bin/llvm-bolt 2>/dev/null | tail -n1)
    [ -n "$found" ] && readlink -f "$found"
}

# Debian names the package by its version.
install_bolt() {
    command -v apt-get >/dev/null || return 1
    local sudo package
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq
    package=$(apt-cache search --names-only '^bolt-[0-9]+$' | cut -d' ' -f1 | sort -V | tail -n1)
    [ -n "$package" ] && $sudo apt-get install -y -qq --no-install-recommends "$package" >/dev/null
}

mkdir -p "$(dirname "$2")"
if ! bolt=$(find_bolt || { install_bolt >&2 && find_bolt; }); then
    echo "$2 is not laid out, which costs it a quarter of its rate: install llvm-bolt" >&2
    cp "$1" "$2"
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bolt" "$1" -instrument -instrumentation-file="$work/profile" -o "$work/instrumented" >"$work/log" 2>&1 ||
    { tail "$work/log" >&2; exit 1; }
benches/train.sh "$work/instrumented"
# Not by `-use-gnu-stack`: it takes the header that keeps the stack from being executable.
"$bolt" "$1" -data="$work/profile" -reorder-blocks=ext-tsp -reorder-functions=hfsort -split-functions \
    -split-all-cold -split-eh -icf=1 -o "$work/laid-out" >"$work/log" 2>&1 ||
    { tail "$work/log" >&2; exit 1; }
# Replaces a program that may be running.
mv "$work/laid-out" "$2"
echo "$2"
