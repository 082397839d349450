#!/usr/bin/env bash
# container.sh CITYHUB ROOT.tar: builds the image with buildah on a base from ROOT.tar (made by mmdebstrap), runs it
# by its own words, as its user, on a file system that is read-only but for its volume and /tmp.
#
# Needs root and buildah. There is no container engine in it: a chroot stands for the container, so neither network
# nor limits of a container are tried.
set -euo pipefail
binary=$(realpath "$1") base=$(realpath "$2")
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d /tmp/cityhub-container.XXXXXX)
store=(buildah --root "$work/images" --runroot "$work/run" --storage-driver vfs)
runner=
leave() {
  [ -z "$runner" ] || kill -KILL "$runner" 2> /dev/null || true
  wait
  umount -R "$work/root" 2> /dev/null || true
  rm -rf --one-file-system "$work"
}
trap leave EXIT
fail() {
  echo "NOT: $*" >&2
  [ ! -f "$work/log" ] || tail -n 20 "$work/log" >&2
  exit 1
}

mkdir -p "$work/context/container"
cp "$binary" "$work/context/container/cityhub"
cp "$top/deploy/hub.toml" "$work/context/"
system=$("${store[@]}" from scratch)
"${store[@]}" add -q "$system" "$base" / > /dev/null
"${store[@]}" commit -q "$system" localhost/debian:12 > /dev/null
"${store[@]}" bud -q --isolation chroot --format docker --build-arg BASE=localhost/debian:12 \
  -f "$top/deploy/container/Containerfile" -t cityhub "$work/context" > /dev/null
"${store[@]}" inspect --type image cityhub > "$work/image.json"
image() { python3 -c "import json; x=json.load(open('$work/image.json'))['OCIv1']['config'].get('$1'); print(x if isinstance(x, str) else '\n'.join(x))"; }
echo "built: $("${store[@]}" images --format '{{.Name}} {{.Size}}' | grep cityhub)"

container=$("${store[@]}" from --pull-never cityhub)
mkdir "$work/root"
mount --bind "$("${store[@]}" mount "$container")" "$work/root"
mount -t tmpfs -o "mode=700,uid=10001,gid=10001" volume "$work/root/var/lib/cityhub"
mount -t tmpfs -o mode=1777 scratch "$work/root/tmp"
# What every engine gives to a container.
mkdir -p "$work/root/dev" "$work/root/proc"
mount -t proc proc "$work/root/proc"
for device in null zero random urandom; do
  touch "$work/root/dev/$device"
  mount --bind "/dev/$device" "$work/root/dev/$device"
done
mount -o remount,bind,ro "$work/root"
[ "$(image User)" = 10001:10001 ] || fail "its user"
find "$work/root" -xdev -type f -printf '  %s %P\n' | sort -rn
if touch "$work/root/x" 2> /dev/null; then fail "its root can be written"; fi

mapfile -t words < <(image Entrypoint; image Cmd)
mapfile -t variables < <(image Env)
# Ports of its own, so that whatever runs on this machine is in nobody's way.
variables=("${variables[@]/%:*/:0}")
enter=(env -i "${variables[@]}" /usr/sbin/chroot --userspec=10001:10001 --groups= "$work/root")
"${enter[@]}" "${words[@]}" > "$work/log" 2>&1 &
runner=$!
for _ in $(seq 300); do
  if grep -q '^ready ' "$work/log"; then break; fi
  kill -0 $runner 2> /dev/null || fail "the hub ended"
  sleep 0.1
done
http=$(sed -n 's/^ready http=0.0.0.0:\([0-9]*\).*/\1/p' "$work/log")
echo "ready: ${words[*]} as $(image User), port $http"
health=$("${enter[@]}" /usr/bin/cityhub health --at "127.0.0.1:$http") || fail "its health check"
echo "health: $health"
kill -TERM $runner
wait $runner || fail "stopped with $?"
runner=
if "${enter[@]}" /usr/bin/cityhub health --at "127.0.0.1:$http" 2> /dev/null; then fail "health of a hub that is gone"; fi
find "$work/root/var/lib/cityhub" -mindepth 1 -printf '%P '
echo
echo "all of it went well"
