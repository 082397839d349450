#!/usr/bin/env bash
# make.sh BINARY VERSION OUT: packs all that a server without internet needs into
# OUT/cityhub-VERSION-ARCH.tar.gz: program, Debian package, service, configuration, rule packs, demo city, docs.
set -euo pipefail
if [ $# -ne 3 ]; then
  sed -n 2,3p "$0" >&2
  exit 2
fi
binary=$(realpath "$1") version=$2
mkdir -p "$3"
out=$(realpath "$3")
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || date +%s)}

package=$("$top/deploy/debian/build.sh" "$binary" "$version" "$work")
arch=$(basename "$package" .deb)
arch=${arch##*_}
name=cityhub-$version-$arch
root=$work/$name
put() { install -D -m "$1" "$top/$2" "$root/$3"; }
mkdir "$root"
install -m 755 "$binary" "$root/cityhub"
mv "$package" "$root/"
put 755 deploy/bundle/install.sh install.sh
[ -z "${SBOM:-}" ] || install -m 644 "$SBOM" "$root/cityhub.cdx.json"
put 644 deploy/systemd/cityhub.service systemd/cityhub.service
put 644 deploy/systemd/cityhub-backup.service systemd/cityhub-backup.service
put 644 deploy/systemd/cityhub-backup.timer systemd/cityhub-backup.timer
put 644 deploy/systemd/serial.conf systemd/serial.conf
put 644 deploy/systemd/sysusers.conf systemd/sysusers.conf
put 644 deploy/hub.toml hub.toml
put 644 deploy/hub.example.toml hub.example.toml
put 644 deploy/hub.schema.json hub.schema.json
put 644 LICENSE LICENSE
put 644 README.md README.md
put 644 README.zh-CN.md README.zh-CN.md
for folder in rules/packs deploy/container deploy/kubernetes deploy/prometheus deploy/examples deploy/demo dashboards/grafana docs; do
  (cd "$top" && find "$folder" -type f ! -name cityhub) | while read -r file; do put 644 "$file" "$file"; done
done
# The handbook to be read in a browser, where `make book` has built it.
if [ -d "$top/target/book" ]; then
  (cd "$top" && find target/book -type f) | while read -r file; do put 644 "$file" "${file#target/}"; done
fi
(cd "$root" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum) > "$root/SHA256SUMS"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime "@$SOURCE_DATE_EPOCH" -cf - "$name" |
  gzip -9n > "$out/$name.tar.gz"
echo "$out/$name.tar.gz"
