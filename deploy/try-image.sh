#!/usr/bin/env bash
# Builds the image's last stage with a program that is there, over a base of this machine's own libraries, and runs it:
# deploy/try-image.sh target/dist/watershed. Needs no registry, but root, buildah, podman and runc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=$(realpath "${1:?which program?}")

for tool in buildah podman runc; do
    [ "$(id -u)" = 0 ] && command -v "$tool" >/dev/null || {
        echo "not tried: the image, which wants root, buildah, podman and runc"
        exit 0
    }
done

work=$(mktemp -d)
export STORAGE_DRIVER=vfs
store=(--root "$work/store" --runroot "$work/run")
podman() { command podman "${store[@]}" --cgroup-manager=cgroupfs --runtime runc "$@"; }
cleanup() {
    podman rm --force --all >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

# from DIRECTORY NAME
from() {
    local container
    container=$(buildah "${store[@]}" from scratch)
    buildah "${store[@]}" copy --quiet "$container" "$1" / >/dev/null
    buildah "${store[@]}" commit --quiet "$container" "localhost/$2" >/dev/null
}
mkdir -p "$work/base/etc" "$work/base/tmp" "$work/built/out/state" "$work/empty"
ldd "$program" | grep -o '/lib[^ ]*' | xargs -I {} cp -L --parents {} "$work/base/"
echo 'nonroot:x:65532:65532::/:' >"$work/base/etc/passwd"
install -m 0755 "$program" "$work/built/out/watershed"
from "$work/base" base
from "$work/built" built
buildah "${store[@]}" bud --quiet --isolation chroot --pull-never --build-context build=container-image://localhost/built \
    --build-arg BASE=localhost/base --build-arg RUST=localhost/base -f deploy/container/Containerfile -t watershed "$work/empty"

"$program" init "$work/site" >/dev/null
sed -i 's#^directory = ".*state"#directory = "/var/lib/watershed/state"#' "$work/site/watershed.toml"
chmod -R a+rX "$work" "$work/site"
# The limits are lower than usual: where the script runs in a container itself, they cannot be raised.
podman run --detach --name tried --network=none --read-only --cap-drop=all --security-opt no-new-privileges \
    --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --log-driver=k8s-file \
    --volume "$work/site:/etc/watershed:ro" --volume state:/var/lib/watershed localhost/watershed >/dev/null
status() { podman exec tried /usr/bin/watershed --config /etc/watershed/watershed.toml status; }
until=$((SECONDS + 60))
until status | grep -q "v1 *normal *90 %"; do
    [ $SECONDS -lt $until ] || { podman logs tried; exit 1; }
    sleep 0.2
done
podman top tried user pid args | grep -q "^nonroot *1 "
podman stop --time 20 tried >/dev/null
[ "$(podman inspect tried --format '{{.State.ExitCode}}')" = 0 ]
podman images --format '{{.Repository}} {{.Size}}' | grep watershed
echo "the image is tried"
