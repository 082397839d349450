#!/usr/bin/env bash
# booted_service.sh CITYHUB ROOT.tar: boots systemd in namespaces of its own, installs the package there, and tries
# the service: ready, secrets, reload, watchdog, a full disk, a wrong configuration, upgrade, stop, purge.
#
# ROOT.tar: mmdebstrap --variant=minbase --include=systemd,systemd-sysv,curl,procps bookworm ROOT.tar
# Needs root, dpkg-dev, and a kernel with cgroup 2 somewhere. What is outside of the namespaces is not touched:
# /proc/sys and /sys are read-only in them, and the cgroup is one of its own.
set -euo pipefail
binary=$(realpath "$1") base=$(realpath "$2")
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d /tmp/cityhub-booted.XXXXXX)
root=$work/root init=
# shellcheck source=tests/foreign/booted.sh
. "$top/tests/foreign/booted.sh"
trap leave EXIT
shown() { within systemctl show -p "$1" --value cityhub; }
is() { [ "$(shown "$1")" = "$2" ]; }
answer() { within curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer ${token:-none}" "http://127.0.0.1:8080$1"; }
answers() { [ "$(answer "$1")" = "$2" ]; }
override() {
  mkdir -p "$root/etc/systemd/system/cityhub.service.d"
  printf '[Service]\n%s\n' "$1" > "$root/etc/systemd/system/cityhub.service.d/try.conf"
  within systemctl daemon-reload
}

package=$(PACKAGE_LEVEL=0 "$top/deploy/debian/build.sh" "$binary" 0.0.1 "$work")
newer=$(PACKAGE_LEVEL=0 "$top/deploy/debian/build.sh" "$binary" 0.0.2 "$work")
mkdir "$root"
tar -C "$root" -xf "$base"
cp "$package" "$newer" "$root/root/"

boot

step "install: the package starts the service"
demand "installs" within dpkg -i "/root/$(basename "$package")"
wait_for "active, by READY" is ActiveState active
fine "status: $(shown StatusText); main process $(shown MainPID) as $(within ps -o user= -p "$(shown MainPID)")"
demand "it is enabled" within systemctl is-enabled cityhub
demand "health" within cityhub health --config /etc/cityhub/hub.toml
fine "$(within systemd-analyze security cityhub --no-pager | tail -n 1)"

step "shut in"
main=$(shown MainPID)
demand "no capabilities, no new privileges, a filter of system calls" within sh -c "
  grep -q 'CapBnd:[[:space:]]*0*$' /proc/$main/status && grep -q 'NoNewPrivs:[[:space:]]*1' /proc/$main/status && grep -q 'Seccomp:[[:space:]]*2' /proc/$main/status"
demand "/usr and /etc are read-only to it, its folder is not" within nsenter -t "$main" -m sh -c \
  '! touch /usr/x && ! touch /etc/x && touch /var/lib/cityhub/x && rm /var/lib/cityhub/x'

step "a secret that root alone can read"
token=0123456789abcdef-of-a-file
printf '%s\n' $token > "$root/etc/cityhub/secrets/CITYHUB__AUTH__TOKENS__TRY__TOKEN"
printf 'admin' > "$root/etc/cityhub/secrets/CITYHUB__AUTH__TOKENS__TRY__ROLE"
chmod 600 "$root"/etc/cityhub/secrets/*
within systemctl restart cityhub
wait_for "the token of the file is known" answers /api/v1/health 200

step "reload, and an upgrade"
demand "reloads" within systemctl reload cityhub
within curl -s -o /dev/null -X PUT -H "Authorization: Bearer $token" -H 'Content-Type: application/json' http://127.0.0.1:8080/api/v1/devices \
  -d '[{"id":"kept-1","kind":"gas_pressure","secret":"the-secret-of-kept-1"}]'
within curl -s -o /dev/null -H 'Authorization: Bearer the-secret-of-kept-1' -d '{"values":{"pressure_kpa":301.5}}' http://127.0.0.1:8081/devices/kept-1/telemetry
main=$(shown MainPID)
demand "upgrades" within dpkg -i "/root/$(basename "$newer")"
wait_for "runs again" answers /readyz 200
demand "as a new process" test "$main" != "$(shown MainPID)"
demand "with what was acknowledged before" within sh -c "curl -s -H 'Authorization: Bearer $token' http://127.0.0.1:8080/api/v1/devices/kept-1 | grep -q 301.5"

step "the doctor"
doctor() { within cityhub doctor --lang en --config /etc/cityhub/hub.toml > "$work/doctor" || true; }
doctor
for found in "ok .* lock " "ok .* service " "ok .* data-folder " "ok .* ports " "warning .* backup-timer " "warning .* backup "; do
  demand "it says: $found" grep -qE "^$found" "$work/doctor"
done
demand "and no fault but a user who is missing" test "$(grep -c '^fault' "$work/doctor")" -le 1
demand "it changed nobody's files" test -z "$(within find /var/lib/cityhub ! -user cityhub)"

step "the watchdog"
override 'WatchdogSec=4'
within systemctl restart cityhub
wait_for "runs with 4 s" answers /readyz 200
sleep 10
demand "is fed: no restart in 10 s" is NRestarts 0
within kill -STOP "$(shown MainPID)"
wait_for "a hub that stands still is started anew" is NRestarts 1
wait_for "and takes telemetry" answers /readyz 200

step "a disk that is full, and freed"
# Without the room that the hub holds for itself, or it would take no readings long before.
override 'Environment=CITYHUB__STORE__DISK__RESERVE_MB=0'
within systemctl stop cityhub
within mount -t tmpfs -o size=24m,mode=700,uid="$(within id -u cityhub)",gid="$(within id -g cityhub)" small /var/lib/cityhub
within systemctl start cityhub
wait_for "runs" answers /readyz 200
within curl -s -o /dev/null -X PUT -H "Authorization: Bearer $token" -H 'Content-Type: application/json' http://127.0.0.1:8080/api/v1/devices \
  -d '[{"id":"gas-1","kind":"gas_pressure","secret":"the-secret-of-gas-1"}]'
send() { within curl -s -m 5 -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer the-secret-of-gas-1' -d '{"values":{"pressure_kpa":300}}' http://127.0.0.1:8081/devices/gas-1/telemetry || true; }
demand "a reading is stored" test "$(send)" = 204
within sh -c 'dd if=/dev/zero of=/var/lib/cityhub/filler bs=64k status=none' 2> /dev/null || true
for _ in $(seq 200); do if [ "$(send)" != 204 ]; then break; fi; done
said=$(send)
demand "nothing is acknowledged any more ($said)" test "$said" != 204
wait_for "it ends with 74 and is started again and again" is ExecMainStatus 74
within rm /var/lib/cityhub/filler
wait_for "freed: takes telemetry by itself" answers /readyz 200
demand "and stores" test "$(send)" = 204

step "a wrong configuration"
cp -p "$root/etc/cityhub/hub.toml" "$work/hub.toml"
echo 'colour = 1' >> "$root/etc/cityhub/hub.toml"
within systemctl restart cityhub || true
wait_for "fails and stays so" is ActiveState failed
doctor
demand "the doctor names line and failed service" sh -c "grep -qE 'hub.toml:[0-9]+ .*colour' $work/doctor && grep -qE '^fault +service' $work/doctor"
fine "$(shown Result), status $(shown ExecMainStatus): $(within journalctl -u cityhub --no-pager | grep -o 'cityhub: /etc.*' | tail -n 1)"
cp -p "$work/hub.toml" "$root/etc/cityhub/hub.toml"

step "a backup"
within systemctl restart cityhub
wait_for "runs" answers /readyz 200
demand "is made beside the running hub" within systemctl start cityhub-backup
backup=$(within find /var/backups/cityhub -mindepth 1 -maxdepth 1)
demand "restores" within setpriv --reuid cityhub --regid cityhub --clear-groups cityhub restore "$backup" --data-dir /var/backups/cityhub/drill
demand "and agrees with itself" within setpriv --reuid cityhub --regid cityhub --clear-groups cityhub verify --config /etc/cityhub/hub.toml --data-dir /var/backups/cityhub/drill
within rm -r /var/backups/cityhub/drill "$backup"
demand "the timer" within systemctl enable --now cityhub-backup.timer

step "stop"
within systemctl restart cityhub
wait_for "runs" answers /readyz 200
from=$(date +%s%3N)
within systemctl stop cityhub
fine "stopped in $(($(date +%s%3N) - from)) ms: $(shown Result)"
demand "in order" is Result success

step "purge"
within umount /var/lib/cityhub
within systemctl start cityhub
demand "purges a service that runs" within dpkg -P cityhub
demand "nothing is left" within sh -c '! ls -d /etc/cityhub /var/lib/cityhub /var/backups/cityhub /usr/bin/cityhub 2> /dev/null && ! getent passwd cityhub && ! pgrep -x cityhub'
step "all of it went well"
