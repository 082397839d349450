#!/usr/bin/env bash
# build.sh BINARY VERSION OUT: makes the Debian package cityhub_VERSION_ARCH.deb in the folder OUT.
# Needs dpkg-dev; what the package depends on is read from the binary. PACKAGE_LEVEL is that of xz, 0 to 9.
set -euo pipefail
if [ $# -ne 3 ]; then
  sed -n 2,3p "$0" >&2
  exit 2
fi
mkdir -p "$3"
binary=$(realpath "$1") version=$2 out=$(realpath "$3")
top=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The same sources give the same package.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || date +%s)}

# e_machine of ELF-64, byte 18 and 19.
case $(od -An -tx1 -j18 -N2 "$binary" | tr -d ' ') in
  3e00) arch=amd64 ;;
  b700) arch=arm64 ;;
  f300) arch=riscv64 ;;
  0201) arch=loong64 ;;
  *)
    echo "$binary is for no machine that this script knows" >&2
    exit 1
    ;;
esac

root=$work/root
put() { install -D -m "$1" "$2" "$root/$3"; }
put 755 "$binary" usr/bin/cityhub
for unit in cityhub.service cityhub-backup.service cityhub-backup.timer; do
  put 644 "$top/deploy/systemd/$unit" "usr/lib/systemd/system/$unit"
done
put 640 "$top/deploy/hub.toml" etc/cityhub/hub.toml
install -d -m 700 "$root/etc/cityhub/secrets"
put 644 "$top/deploy/debian/copyright" usr/share/doc/cityhub/copyright
for file in deploy/hub.example.toml deploy/systemd/serial.conf docs/en/install.md; do
  put 644 "$top/$file" "usr/share/doc/cityhub/$(basename "$file")"
done
put 644 "$top/docs/zh-CN/install.md" usr/share/doc/cityhub/install.zh-CN.md
# The handbook, where `make book` has built it.
if [ -d "$top/target/book" ]; then
  (cd "$top/target/book" && find . -type f) | while read -r file; do
    put 644 "$top/target/book/$file" "usr/share/doc/cityhub/book/$file"
  done
fi
# SBOM is what sbom.mjs says of this binary; without it the package has none.
[ -z "${SBOM:-}" ] || put 644 "$SBOM" usr/share/doc/cityhub/cityhub.cdx.json
put 644 "$top/deploy/debian/completion.bash" usr/share/bash-completion/completions/cityhub
mkdir -p "$root/usr/share/man/man1"
"$top/deploy/debian/man.sh" "$binary" "$version" > "$root/usr/share/man/man1/cityhub.1"
gzip -9n "$root/usr/share/man/man1/cityhub.1"
printf 'cityhub (%s) stable; urgency=medium\n\n  * See the notes of the release.\n\n -- cityhub <cityhub@localhost>  %s\n' \
  "$version" "$(date -Ru -d "@$SOURCE_DATE_EPOCH")" > "$root/usr/share/doc/cityhub/changelog"
gzip -9n "$root/usr/share/doc/cityhub/changelog"
chmod 644 "$root/usr/share/doc/cityhub/changelog.gz"
# A configuration has secrets: not for everybody. Its group is set when the group is there.
chmod 750 "$root/etc/cityhub"

# dpkg-shlibdeps wants to be where sources are.
mkdir -p "$work/debian"
printf 'Source: cityhub\n\nPackage: cityhub\nArchitecture: any\n' > "$work/debian/control"
needs=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/cityhub" 2> /dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$needs" ] || { echo "dpkg-shlibdeps found nothing that $binary needs" >&2; exit 1; }

mkdir "$root/DEBIAN"
size=$(du -k -s --apparent-size "$root" | cut -f 1)
sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@SIZE@/$size/" -e "s/@NEEDS@/$needs/" \
  "$top/deploy/debian/control" > "$root/DEBIAN/control"
echo /etc/cityhub/hub.toml > "$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "$top/deploy/debian/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

package=$out/cityhub_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz -z"${PACKAGE_LEVEL:-6}" --build "$root" "$package" > /dev/null
echo "$package"
