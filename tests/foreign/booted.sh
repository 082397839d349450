# booted.sh: boots systemd in namespaces of its own, for scripts that source it; they set work and root.
#
# What is outside of the namespaces is not touched: /proc/sys and /sys are read-only in them, and the cgroup is one
# of its own. There is no network but the loopback.
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$groups" ] || { echo "there is no cgroup 2 here" >&2; exit 1; }
group=$groups/$(basename "$work")

leave() {
  if [ -n "$init" ]; then
    kill -KILL "$init" 2> /dev/null || true
    wait 2> /dev/null || true
  fi
  find "$group" -depth -type d -exec rmdir {} \; 2> /dev/null || true
  rm -rf --one-file-system "$work"
}
began=$SECONDS
step() { printf '\n%3d s  %s\n' $((SECONDS - began)) "$*"; }
fine() { printf '       ok: %s\n' "$*"; }
fail() {
  within systemctl status cityhub --no-pager >&2 || true
  printf '       NOT: %s\n' "$*" >&2
  within journalctl -u cityhub -n 25 --no-pager >&2 || tail -n 25 "$work/log" >&2
  exit 1
}
within() { nsenter -t "$init" -a /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 SYSTEMD_PAGER=cat "$@"; }
# demand WHAT COMMAND…
demand() {
  local what=$1
  shift
  "$@" > "$work/said" 2>&1 || { cat "$work/said" >&2; fail "$what"; }
  fine "$what"
}
# wait_for WHAT COMMAND…: a minute and a half.
wait_for() {
  local what=$1
  shift
  for _ in $(seq 450); do
    if "$@" > "$work/said" 2>&1; then
      fine "$what"
      return
    fi
    sleep 0.2
  done
  cat "$work/said" >&2
  fail "$what"
}

boot() {
  step "boot"
  mkdir "$group"
  cat > "$work/boot" <<'BOOT'
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup 2> /dev/null || true
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
touch dev/console
mkdir dev/shm dev/pts dev/mqueue
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mkdir -p .before
pivot_root . .before
umount -l /.before
# As container managers do: what systemd mounts for a service is seen by it through this.
mount --make-rshared /
exec env -i container=namespaces PATH=/usr/sbin:/usr/bin /lib/systemd/systemd --log-target=console --log-level=notice
BOOT
  (
    echo "$BASHPID" > "$group/cgroup.procs"
    exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net bash "$work/boot" "$root"
  ) > "$work/log" 2>&1 &
  for _ in $(seq 100); do
    init=$(pgrep -P $! || true)
    if [ -n "$init" ] && within systemctl is-system-running 2> /dev/null | grep -qE 'running|degraded'; then break; fi
    sleep 0.2
  done
  demand "$(within systemctl --version | head -n 1)" within systemctl list-units --no-pager
}
