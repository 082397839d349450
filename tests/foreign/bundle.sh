#!/usr/bin/env bash
# bundle.sh CITYHUB ROOT.tar: packs the offline bundle and installs it in a clean Debian root without any network,
# as a package and plainly; runs it; takes it away. ROOT.tar is made by mmdebstrap.
#
# Needs root and dpkg-dev. There is no systemd in the root: the unit's words are run by hand, as its user.
set -euo pipefail
binary=$(realpath "$1") base=$(realpath "$2")
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d /tmp/cityhub-bundle.XXXXXX)
root=$work/root
leave() {
  umount "$root/proc" 2> /dev/null || true
  rm -rf --one-file-system "$work"
}
trap leave EXIT
fail() { echo "NOT: $*" >&2; exit 1; }
# Nothing but a loopback that is down: what wants the internet fails.
within() { unshare --net chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }

bundle=$(PACKAGE_LEVEL=1 "$top/deploy/bundle/make.sh" "$binary" 0.0.1 "$work")
echo "packed: $(basename "$bundle"), $(stat -c %s "$bundle") bytes, $(tar -tzf "$bundle" | grep -vc '/$') files"
mkdir "$root"
tar -C "$root" -xf "$base"
mount -t proc proc "$root/proc"
tar -C "$root/root" -xzf "$bundle"
folder=/root/$(basename "$bundle" .tar.gz)

# run PROGRAM: starts it by the unit's words without a network, until it is ready, and stops it.
run() {
  within sh -c "
    set -e
    : > /root/log
    setpriv --reuid cityhub --regid cityhub --init-groups env CITYHUB__HTTP__LISTEN=127.0.0.1:0 CITYHUB__DRIVERS__MQTT__LISTEN=127.0.0.1:0 \
      CITYHUB__DRIVERS__INGEST__LISTEN=127.0.0.1:0 CITYHUB__CANARY__ENABLED=false $1 > /root/log 2>&1 &
    for _ in \$(seq 100); do if grep -q '^ready ' /root/log; then break; fi; sleep 0.1; done
    grep '^ready ' /root/log
    kill -TERM \$! && wait \$!" || { cat "$root/root/log" >&2; fail "it does not run"; }
}
words() { sed -n 's/^ExecStart=//p' "$root$1"; }
is_gone() { for path in "$@"; do [ ! -e "$root$path" ] || fail "$path is still there"; done; }

echo "== as a package"
within "$folder/install.sh"
run "$(words /usr/lib/systemd/system/cityhub.service)"
within "$folder/install.sh" --uninstall
is_gone /usr/bin/cityhub
[ -e "$root/var/lib/cityhub/main.db" ] || fail "data is gone"
within "$folder/install.sh" --purge
is_gone /etc/cityhub /var/lib/cityhub

echo "== plainly, as where there is no dpkg"
within "$folder/install.sh" --plain
[ "$(within stat -c '%U:%G %a' /etc/cityhub/hub.toml)" = "root:cityhub 640" ] || fail "rights of the configuration"
run "$(words /etc/systemd/system/cityhub.service)"
echo '# changed by hand' >> "$root/etc/cityhub/hub.toml"
within "$folder/install.sh" --plain
grep -qx '# changed by hand' "$root/etc/cityhub/hub.toml" || fail "the configuration was overwritten"
run "$(words /etc/systemd/system/cityhub.service)"
within "$folder/install.sh" --uninstall
is_gone /usr/local/bin/cityhub /etc/systemd/system/cityhub.service
within "$folder/install.sh" --purge
is_gone /etc/cityhub /var/lib/cityhub

echo "== a bundle that came to harm on its way"
echo >> "$root$folder/hub.toml"
if within "$folder/install.sh" --plain; then fail "it was installed"; fi
is_gone /usr/local/bin/cityhub
echo "all of it went well"
