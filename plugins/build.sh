#!/usr/bin/env bash
# Builds the guests and copies the components to a folder: plugins/dist, or the one named by the first argument.
#
# With rustup, the target wasm32-wasip2 is all it takes. Without it, Debian's compiler, standard library and linker do.
# The same toolchain gives the same bytes wherever the checkout is: paths of this machine are kept out of them.
set -euo pipefail

plugins=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$plugins/dist}"
output=$(cd "${1:-$plugins/dist}" && pwd)
target=wasm32-wasip2
guests=(greeter lab lab-p3)

have_rustup_target() {
    command -v rustup >/dev/null || return 1
    rustup target list --installed | grep -qx "$target" || rustup target add "$target"
}

have_debian_target() {
    [ -x /usr/bin/wasm-ld-19 ] && [ -d /usr/lib/rustlib/src/rust/library ] && [ -d /usr/lib/wasm32-wasi ]
}

install_debian_target() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get install --yes --no-install-recommends \
        rustc-web cargo-web rust-web-src lld-19 wasi-libc
}

rustflags="--remap-path-prefix=$plugins=/plugins --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
if have_rustup_target; then
    cargo=(cargo)
    flags=()
    # Where the component rust-src is installed, the compiler would name the standard library by its place here.
    commit=$(rustc -vV | sed -n 's/^commit-hash: //p')
    rustflags+=" --remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$commit"
else
    echo "build.sh: rustup cannot provide $target, so Debian's toolchain is used" >&2
    have_debian_target || install_debian_target
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    command -v wasm-component-ld >/dev/null || cargo install wasm-component-ld --locked
    export PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    export __CARGO_TESTS_ONLY_SRC_ROOT=/usr/lib/rustlib/src/rust/library
    rustflags+=" -Clink-self-contained=no -Clink-arg=-L/usr/lib/wasm32-wasi"
    rustflags+=" -Clink-arg=--wasm-ld-path=/usr/bin/wasm-ld-19"
    cargo=(/usr/bin/cargo)
    flags=(-Zbuild-std=std,panic_abort)
fi
export RUSTFLAGS=$rustflags
export CARGO_TARGET_DIR=$plugins/target

cd "$plugins"
for guest in "${guests[@]}"; do
    "${cargo[@]}" build --release --locked --target "$target" "${flags[@]}" --package "$guest"
    cp "$CARGO_TARGET_DIR/$target/release/${guest//-/_}.wasm" "$output/$guest.wasm"
    printf '%s: %s bytes\n' "$output/$guest.wasm" "$(wc -c <"$output/$guest.wasm")"
done
