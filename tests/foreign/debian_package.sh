#!/usr/bin/env bash
# debian_package.sh CITYHUB [ROOT.tar]: makes the Debian package and leads it through its life in a clean
# Debian root: installed, run, alarmed, upgraded, removed, installed again, purged.
#
# Needs root, dpkg-dev, curl, python3, and mmdebstrap unless a root of Debian 12 or later is given. There is no
# systemd in the root: the command line of the unit is run by hand, as its user.
set -euo pipefail
binary=$(realpath "$1")
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d /tmp/cityhub-package.XXXXXX)
root=$work/root hub=
began=$SECONDS

leave() {
  [ -z "$hub" ] || kill -KILL "$hub" 2> /dev/null || true
  umount "$root/proc" 2> /dev/null || true
  rm -rf --one-file-system "$work"
}
trap leave EXIT
step() { printf '\n%3d s  %s\n' $((SECONDS - began)) "$*"; }
fine() { printf '       ok: %s\n' "$*"; }
fail() {
  printf '       NOT: %s\n' "$*" >&2
  [ ! -f "$work/log" ] || tail -n 20 "$work/log" >&2
  exit 1
}
# demand WHAT COMMAND…
demand() {
  local what=$1
  shift
  "$@" > "$work/said" 2>&1 || { cat "$work/said" >&2; fail "$what"; }
  fine "$what"
}
within() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
# Names of the root, not of this machine.
owner() { within stat -c '%U:%G %a' "$1" | grep -qx "$2"; }
gone() { [ ! -e "$root$1" ]; }
json() { python3 -c "import json,sys; x=json.load(sys.stdin); print($1)"; }

# Starts the hub by the words of the unit that the package brought.
start() {
  local line
  line=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/cityhub.service")
  # Ports of its own, so that whatever runs on this machine is in nobody's way.
  # shellcheck disable=SC2086
  within runuser -u cityhub -- env CITYHUB__HTTP__LISTEN=127.0.0.1:0 CITYHUB__DRIVERS__MQTT__LISTEN=127.0.0.1:0 \
    CITYHUB__DRIVERS__INGEST__LISTEN=127.0.0.1:0 $line > "$work/log" 2>&1 &
  runner=$!
  for _ in $(seq 300); do
    if grep -q '^ready ' "$work/log"; then break; fi
    kill -0 $runner 2> /dev/null || fail "the hub ended"
    sleep 0.1
  done
  http=$(grep -o '^ready http=[^ ]*' "$work/log" | cut -d = -f 2) || fail "never ready"
  ingest=$(grep -o 'ingest.listen=[^ ]*' "$work/log" | cut -d = -f 2)
  # runuser and env hand on to the program, which is the child of the first that stays.
  hub=$(pgrep -n -f "^/usr/bin/cityhub run" -u "$(within id -u cityhub)")
  fine "ready as $(within ps -o user= -p "$hub" 2> /dev/null || within id -un cityhub), http=$http"
}
stop() {
  kill -TERM "$hub"
  local status=0
  wait "$runner" || status=$?
  hub=
  [ "$status" -eq 0 ] || fail "stopped with $status"
  fine "stopped in order"
}
api() { curl -sS --fail-with-body -H "Authorization: Bearer $token" -H 'Content-Type: application/json' "$@"; }

step "make the packages"
export PACKAGE_LEVEL=1
old=$("$top/deploy/debian/build.sh" "$binary" 0.0.1 "$work")
# The next one brings another configuration, so that dpkg has to choose.
cp -r "$top/deploy" "$top/docs" "$work/" 2> /dev/null
echo '# of the next version' >> "$work/deploy/hub.toml"
new=$("$work/deploy/debian/build.sh" "$binary" 0.0.2 "$work")
fine "$(basename "$old"), $(stat -c %s "$old") bytes; $(dpkg-deb -f "$old" Depends)"

step "a clean root of Debian"
mkdir "$root"
if [ $# -gt 1 ]; then
  tar -C "$root" -xf "$2"
else
  mmdebstrap --quiet --variant=minbase bookworm "$work/root.tar"
  tar -C "$root" -xf "$work/root.tar"
fi
mount -t proc proc "$root/proc"
cp "$old" "$new" "$root/root/"
fine "Debian $(cat "$root/etc/debian_version"), $(within dpkg-query -f '.\n' -W | wc -l) packages"

step "what it depends on, and then the package itself"
needs=$(dpkg-deb -f "$old" Depends | sed 's/([^)]*)//g; s/,/ /g')
# shellcheck disable=SC2086
missing=$(for name in $needs; do within dpkg -s "$name" > /dev/null 2>&1 || echo "$name"; done)
fine "missing in the root: ${missing:-nothing}"
demand "installs" within dpkg -i "/root/$(basename "$old")"
demand "the user is there, without a shell" within sh -c 'getent passwd cityhub | grep -q ":/usr/sbin/nologin$"'
demand "configuration is read by root and the hub alone" owner /etc/cityhub/hub.toml 'root:cityhub 640'
demand "secrets are root's" owner /etc/cityhub/secrets 'root:root 700'
demand "data is the hub's" owner /var/lib/cityhub 'cityhub:cityhub 700'
demand "check: fine" within runuser -u cityhub -- cityhub check --config /etc/cityhub/hub.toml

step "the doctor, before the first start"
doctor() { within cityhub doctor --lang en --config /etc/cityhub/hub.toml > "$work/doctor" 2>&1 || true; }
doctor
demand "nobody can sign in yet" grep -qE '^fault +sign-in' "$work/doctor"
demand "it made nothing" test -z "$(within ls -A /var/lib/cityhub)"
within runuser -u nobody -- cityhub doctor --lang en --config /etc/cityhub/hub.toml --data-dir /var/lib/cityhub/x > "$work/doctor" 2>&1 || true
demand "to a stranger it says whom to be" grep -q 'root or as the user of the hub\|cannot be read' "$work/doctor"

step "the first start"
start
demand "it tells how the first user is made" grep -q 'cityhub admin user add NAME --role admin' "$work/log"
answer() { curl -s -o /dev/null -w '%{http_code}' "http://$http$1"; }
demand "it lives, and answers nobody anything else" test "$(answer /healthz)$(answer /)$(answer /api/v1/alarms)" = 200401401

step "the first user, made by root beside the running hub"
echo 'a-long-first-password' | within cityhub admin user add me --role admin --config /etc/cityhub/hub.toml > /dev/null
demand "his file is the hub's" owner /var/lib/cityhub/access.json 'cityhub:cityhub 600'
signed() { curl -s -o /dev/null -w '%{http_code}' -H 'X-Requested-By: console' -H 'Content-Type: application/json' \
  -d '{"user":"me","password":"a-long-first-password"}' "http://$http/api/v1/session"; }
for _ in $(seq 50); do if [ "$(signed)" = 200 ]; then break; fi; sleep 0.1; done
demand "he signs in" test "$(signed)" = 200
demand "the console opens" test "$(answer /)$(answer /api/v1/alarms)" = 200401
token=$(within cityhub admin token add curl --role admin --config /etc/cityhub/hub.toml | grep -oE '[0-9A-Za-z_-]{32,}' | head -n 1)
for _ in $(seq 50); do if api "http://$http/api/v1/health" -o /dev/null 2> /dev/null; then break; fi; sleep 0.1; done

step "the first device, and its first real alarm"
demand "the device is registered" api -X PUT "http://$http/api/v1/devices" -d '[{"id":"gas-1","kind":"gas_pressure",
  "name":"花园路调压箱03","tags":{"class":"medium"},"secret":"the-secret-of-gas-1"}]'
now=$(date +%s%3N)
send() { curl -sS -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer the-secret-of-gas-1' \
  -d "{\"ts\":$1,\"values\":{\"pressure_kpa\":$2}}" "http://$ingest/devices/gas-1/telemetry"; }
demand "412 kPa for 20 s is on disk" test "$(send $((now - 20000)) 412.4)$(send "$now" 412.9)" = 204204
alarms() { api "http://$http/api/v1/alarms?severity=critical" | json 'len(x["items"])'; }
for _ in $(seq 50); do if [ "$(alarms)" = 1 ]; then break; fi; sleep 0.1; done
demand "the alarm of the gas pack is open" test "$(alarms)" = 1
printf '       %s\n' "$(api "http://$http/api/v1/alarms" | json '" ".join(str(x["items"][0][k]) for k in ("id","rule","severity","state","value","unit"))')"
if within cityhub help health > /dev/null 2>&1; then
  demand "cityhub health: $(within cityhub health --at "$http")" within cityhub health --at "$http"
fi
stop

step "an upgrade; the configuration was changed by hand"
echo '# changed by hand' >> "$root/etc/cityhub/hub.toml"
demand "upgrades, told to keep what is there" within dpkg --force-confold -i "/root/$(basename "$new")"
demand "what was changed by hand is kept" grep -qx '# changed by hand' "$root/etc/cityhub/hub.toml"
demand "what is new lies beside it" grep -qx '# of the next version' "$root/etc/cityhub/hub.toml.dpkg-dist"
demand "rights are as they were" owner /etc/cityhub/hub.toml 'root:cityhub 640'
demand "the version is 0.0.2" test "$(within dpkg-query -W cityhub)" = $'cityhub\t0.0.2'
start
demand "the alarm is still open" test "$(alarms)" = 1
stop
demand "history agrees with itself" within runuser -u cityhub -- cityhub verify --config /etc/cityhub/hub.toml

step "back to the version before"
demand "downgrades" within dpkg --force-confold -i "/root/$(basename "$old")"
start
demand "the alarm is still open" test "$(alarms)" = 1
stop

step "remove"
demand "removes" within dpkg -r cityhub
demand "the program is gone" gone /usr/bin/cityhub
demand "configuration and data are kept" test -e "$root/etc/cityhub/hub.toml" -a -e "$root/var/lib/cityhub/main.db"
demand "installs again" within dpkg --force-confold -i "/root/$(basename "$new")"
start
demand "the alarm is still open" test "$(alarms)" = 1
stop

step "purge"
demand "a backup is made" within runuser -u cityhub -- cityhub backup /var/backups/cityhub/before-the-end --config /etc/cityhub/hub.toml
demand "purges" within dpkg -P cityhub
for path in /usr/bin/cityhub /etc/cityhub /var/lib/cityhub /usr/lib/systemd/system/cityhub.service /usr/share/doc/cityhub; do
  demand "$path is gone" gone "$path"
done
demand "the backup stays: only who made it throws it away" test -f "$root/var/backups/cityhub/before-the-end/manifest.json"
demand "so is the user" within sh -c '! getent passwd cityhub && ! getent group cityhub'
demand "dpkg knows nothing of it" within sh -c '! dpkg-query -W cityhub'
step "all of it went well"
