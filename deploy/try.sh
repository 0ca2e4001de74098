#!/usr/bin/env bash
# Tries a package on this machine without touching it: deploy/try.sh FILE.deb. As root, and with systemd-nspawn, in a
# container with a systemd of its own over a copy of this machine's files; else the package is only looked at.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
deb=$(realpath "${1:?which package?}")

if command -v lintian >/dev/null; then
    # Cargo's description has an article, the package is not Debian's own, and postinst has the process replaced in place,
    # for which there is no deb-systemd-invoke.
    lintian --allow-root --fail-on error,warning --suppress-tags \
        description-synopsis-starts-with-article,initial-upload-closes-no-bugs,maintainer-script-calls-systemctl "$deb"
else
    echo "not tried: lintian"
fi

if [ "$(id -u)" != 0 ] || ! command -v systemd-nspawn >/dev/null; then
    echo "not tried: the service, which wants root and systemd-nspawn (systemd-container)"
    exit 0
fi

work=$(mktemp -d)
cleanup() {
    mountpoint -q "$work/root" && umount "$work/root"
    mountpoint -q "$work/upper" && umount "$work/upper"
    rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/root" "$work/upper"
mount -t tmpfs tmpfs "$work/upper"
mkdir "$work/upper/changes" "$work/upper/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper/changes,workdir=$work/upper/work" "$work/root"

cp "$deb" "$work/root/watershed.deb"
# An image for builds may forbid services.
rm -f "$work/root/usr/sbin/policy-rc.d"
install -m 0755 "$here/try-service.sh" "$work/root/try-service.sh"
cat >"$work/root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
Wants=basic.target
After=basic.target
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
StandardOutput=file:/try.log
StandardError=inherit
ExecStart=/try-service.sh
UNIT

# Its own network: nothing is listened on here.
timeout --kill-after=10 180 systemd-nspawn --directory "$work/root" --machine "watershed-try-$$" --private-network \
    --register=no --keep-unit --console=read-only --boot systemd.unit=try.service systemd.show_status=0 </dev/null >"$work/boot.log" 2>&1 ||
    tail -n 20 "$work/boot.log"
cat "$work/root/try.log"
tail -n 1 "$work/root/try.log" | grep -qx "all tried"
