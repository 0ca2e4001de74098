#!/usr/bin/env bash
# Builds the Debian package of a program: deploy/package.sh target/dist/watershed [DIRECTORY]. The package has the man
# pages and completions that the program itself prints.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=$(realpath "$1")
out=${2:-target/package}
# Where Cargo.toml looks for what is packed.
stage=target/package/stage

rm -rf "$stage"
mkdir -p "$stage/man" "$stage/completions" "$out"
install -m 0755 "$program" "$stage/watershed"
# The toolchain's own: GNU strip breaks a program that llvm-bolt has laid out.
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')
LD_LIBRARY_PATH=$sysroot/lib "$sysroot/lib/rustlib/$host/bin/rust-objcopy" --strip-unneeded "$stage/watershed"
"$stage/watershed" man "$stage/man"
gzip --best --no-name "$stage"/man/*
"$stage/watershed" completions bash >"$stage/completions/watershed"
"$stage/watershed" completions zsh >"$stage/completions/_watershed"
"$stage/watershed" completions fish >"$stage/completions/watershed.fish"
gzip --best --no-name --stdout CHANGELOG.md >"$stage/changelog.gz"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
gzip --best --no-name >"$stage/changelog.Debian.gz" <<END
watershed ($version-1) unstable; urgency=medium

  * What users notice is in changelog.gz.

 -- The Watershed authors <watershed@example.com>  $(LC_ALL=C date --utc --date="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" '+%a, %d %b %Y %T +0000')
END

cargo deb --no-build --no-strip --output "$out"
