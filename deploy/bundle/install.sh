#!/bin/sh
# Installs cityhub from this folder on a server without internet, or takes it away again.
#
#   ./install.sh               as the Debian package where there is dpkg, else under /usr/local
#   ./install.sh --plain       under /usr/local, whatever there is
#   ./install.sh --uninstall   takes the program away, keeps configuration and data
#   ./install.sh --purge       takes configuration and data away too
# DESTDIR installs into another root, in which nothing is started.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=${DESTDIR:-}
units=$root/etc/systemd/system
program=$root/usr/local/bin/cityhub

say() { echo "cityhub: $*"; }
fail() { echo "cityhub: $*" >&2; exit 1; }
has_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ]; }
# Whoever owns files in another root is somebody there.
within() { if [ -n "$root" ]; then chroot "$root" "$@"; else "$@"; fi; }

check() {
  (cd "$here" && sha256sum --quiet -c SHA256SUMS) || fail "what lies here is not what was packed"
  "$here/cityhub" --version > /dev/null ||
    fail "the program does not run here: it needs the glibc that the package names ($(uname -m), $(ldd --version 2>&1 | head -n 1))"
}

make_user() {
  within getent group cityhub > /dev/null || within groupadd --system cityhub
  within getent passwd cityhub > /dev/null || within useradd --system --gid cityhub \
    --home-dir /var/lib/cityhub --no-create-home --shell /sbin/nologin --comment cityhub cityhub
}

# Beside the program under /usr/local; nothing that is there already is overwritten but the program.
install_plain() {
  make_user
  install -D -m 755 "$here/cityhub" "$program.new"
  mv -f "$program.new" "$program"
  if command -v restorecon > /dev/null && [ -z "$root" ]; then restorecon "$program" || true; fi
  within install -d -m 750 -o root -g cityhub /etc/cityhub
  within install -d -m 700 -o root -g root /etc/cityhub/secrets
  within install -d -m 700 -o cityhub -g cityhub /var/lib/cityhub /var/backups/cityhub
  if [ -e "$root/etc/cityhub/hub.toml" ]; then
    if ! cmp -s "$here/hub.toml" "$root/etc/cityhub/hub.toml"; then
      say "kept /etc/cityhub/hub.toml; the one of this version is beside it as hub.toml.new"
      install -m 640 "$here/hub.toml" "$root/etc/cityhub/hub.toml.new"
    fi
  else
    install -m 640 "$here/hub.toml" "$root/etc/cityhub/hub.toml"
  fi
  within chown root:cityhub /etc/cityhub/hub.toml
  mkdir -p "$units"
  for unit in cityhub.service cityhub-backup.service cityhub-backup.timer; do
    sed -e 's|/usr/bin/cityhub|/usr/local/bin/cityhub|' \
      -e 's|file:/usr/share/doc/cityhub|file:/usr/local/share/doc/cityhub|' "$here/systemd/$unit" > "$units/$unit"
  done
  # A folder of secrets is something that systemd knows since version 250.
  version=$(within systemctl --version 2> /dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
  if [ "${version:-250}" -lt 250 ]; then
    sed -i 's|^LoadCredential=|# systemd is older than 250, put each secret into LoadCredential=KEY:FILE of a drop-in\n#&|' \
      "$units/cityhub.service" "$units/cityhub-backup.service"
  fi
  mkdir -p "$root/usr/local/share/doc/cityhub"
  cp -R "$here/docs/." "$here/hub.example.toml" "$here/LICENSE" "$root/usr/local/share/doc/cityhub/"
  if [ -d "$here/book" ]; then cp -R "$here/book" "$root/usr/local/share/doc/cityhub/"; fi
}

start() {
  has_systemd || { say "installed; there is no systemd here: run $1 run --config /etc/cityhub/hub.toml as the user cityhub"; return; }
  systemctl daemon-reload
  systemctl enable cityhub.service
  systemctl restart cityhub.service
  say "started; what it says, and how the first user is made: journalctl -u cityhub"
}

uninstall() {
  if has_systemd; then systemctl disable --now cityhub-backup.timer cityhub.service 2> /dev/null || true; fi
  if within sh -c 'command -v dpkg-query > /dev/null && dpkg-query -W cityhub > /dev/null 2>&1'; then
    within dpkg --"$1" cityhub
  fi
  rm -f "$units/cityhub.service" "$units/cityhub-backup.service" "$units/cityhub-backup.timer" "$program"
  rm -rf "$root/usr/local/share/doc/cityhub"
  if has_systemd; then systemctl daemon-reload; fi
  if [ "$1" = purge ]; then
    rm -rf "$root/etc/cityhub" "$root/var/lib/cityhub" "$units/cityhub.service.d" "$units/cityhub-backup.service.d"
    rmdir "$root/var/backups/cityhub" 2> /dev/null || true
    if within getent passwd cityhub > /dev/null; then within userdel cityhub || true; fi
    if within getent group cityhub > /dev/null; then within groupdel cityhub || true; fi
    say "taken away with configuration and data"
  else
    say "taken away; /etc/cityhub and /var/lib/cityhub are kept"
  fi
}

[ "$(id -u)" -eq 0 ] || fail "this needs root"
case ${1:-} in
  --uninstall) uninstall remove ;;
  --purge) uninstall purge ;;
  --plain)
    check
    install_plain
    start /usr/local/bin/cityhub
    ;;
  '')
    check
    if [ -z "$root" ] && command -v dpkg > /dev/null; then
      # Its own start is what the package does.
      dpkg --force-confold -i "$here"/cityhub_*.deb
      say "installed as a package; dpkg -r or -P cityhub takes it away"
    else
      install_plain
      start /usr/local/bin/cityhub
    fi
    ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
