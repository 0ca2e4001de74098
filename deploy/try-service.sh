#!/bin/bash
# What deploy/try.sh does in its container: installs the package, and uses its service as an administrator would.
set -euo pipefail
export HOME=/root LC_ALL=C

say() { echo "== $*"; }
fail() {
    echo "FAILED: $*"
    systemctl --no-pager --full status watershed.service || true
    journalctl --no-pager -u watershed.service -n 30 || true
    exit 1
}
trap 'echo "line $LINENO"' ERR
main_pid() { systemctl show --property MainPID --value watershed.service; }
status() { curl -s -m 5 -o /dev/null -w '%{http_code}' -H "host: $1" http://127.0.0.1:8080/; }
# await SECONDS COMMAND…
await() {
    local seconds=$1 until
    shift
    until=$((SECONDS + seconds))
    until "$@"; do
        [ $SECONDS -lt $until ] || fail "not within $seconds s: $*"
        sleep 0.1
    done
}
answers() { [ "$(status "$1")" = "$2" ]; }

say "install"
dpkg --install /watershed.deb >/dev/null
await 30 systemctl --quiet is-active watershed.service
systemctl --quiet is-enabled watershed.service || fail "it is not enabled"
await 30 answers nobody.localhost 404
[ "$(stat -c %U:%a /var/lib/watershed)" = watershed:750 ] || fail "$(stat -c %U:%a /var/lib/watershed)"
[ "$(ps -o user= -p "$(main_pid)")" = watershed ] || fail "it runs as another user"
man -w watershed-deploy >/dev/null || fail "no manual"
[ -s /usr/share/bash-completion/completions/watershed ] || fail "no completions"

say "a component is compiled and served in the sandbox of the unit"
watershed init /tmp/demo >/dev/null
cp -r /tmp/demo/components /etc/watershed/
cp /tmp/demo/services/*.toml /etc/watershed/services/
await 60 answers greeter.localhost 200
watershed --config /etc/watershed/watershed.toml status | head -20
systemd-analyze security watershed.service --no-pager | tail -n 1

say "a reload replaces the process while it serves"
before=$(main_pid)
(for _ in $(seq 200); do status greeter.localhost; echo; sleep 0.02; done >/tmp/answers) &
asking=$!
systemctl reload watershed.service
replaced() { [ "$(main_pid)" != "$before" ]; }
await 30 replaced
wait $asking
[ "$(sort /tmp/answers | uniq)" = 200 ] || fail "$(sort /tmp/answers | uniq -c)"
systemctl --quiet is-active watershed.service || fail "it is not active"

say "an upgrade keeps the process's place and the administrator's file"
echo "# mine" >>/etc/watershed/watershed.toml
before=$(main_pid)
dpkg --install --force-confold /watershed.deb >/dev/null
await 30 replaced
grep -q "# mine" /etc/watershed/watershed.toml || fail "the file was replaced"
await 30 answers greeter.localhost 200

say "a low port"
sed -i 's/^listen = \["0.*/listen = ["0.0.0.0:80"]/' /etc/watershed/watershed.toml
systemctl restart watershed.service
await 30 sh -c "curl -sf -m 5 -H 'host: greeter.localhost' http://127.0.0.1/ >/dev/null"

say "sockets of systemd"
systemctl stop watershed.service
systemctl start watershed.socket
await 30 answers greeter.localhost 200
systemctl restart watershed.service
await 30 answers greeter.localhost 200
systemctl stop watershed.socket watershed.service

say "MemoryDenyWriteExecute: upstreams are served, components are not"
mkdir -p /etc/systemd/system/watershed.service.d
printf '[Service]\nMemoryDenyWriteExecute=yes\n' >/etc/systemd/system/watershed.service.d/memory.conf
sed -i 's/^listen = \["0.*/listen = ["0.0.0.0:8080"]/' /etc/watershed/watershed.toml
printf '[[versions]]\nname = "v1"\nupstream = ["127.0.0.1:9090"]\n' >/etc/watershed/services/api.toml
rm -rf /var/lib/watershed/state
systemctl daemon-reload
systemctl start watershed.service
await 30 sh -c "curl -sf -m 5 -H 'host: api.localhost' http://127.0.0.1:8080/livez >/dev/null"
answers greeter.localhost 503 || fail "$(status greeter.localhost)"
rm /etc/systemd/system/watershed.service.d/memory.conf
systemctl daemon-reload

say "remove and purge"
dpkg --remove watershed >/dev/null 2>&1
[ -d /var/lib/watershed ] || fail "the state is gone"
dpkg --purge watershed >/dev/null 2>&1
[ ! -e /var/lib/watershed ] || fail "the state is there"
[ ! -e /etc/watershed/watershed.toml ] || fail "the file is there"
echo "all tried"
