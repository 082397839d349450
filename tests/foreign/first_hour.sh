#!/usr/bin/env bash
# first_hour.sh CITYHUB ROOT.tar [PICTURE.png]: boots a fresh Debian without internet, and types there every command
# of docs/en/first-hour.md, as the page has it: from the package to the first alarm, acknowledged. Prints the time.
#
# ROOT.tar: mmdebstrap --variant=minbase --include=systemd,systemd-sysv,curl,procps bookworm ROOT.tar
# Needs root, dpkg-dev, python3, and a kernel with cgroup 2; with PICTURE.png chromium, which looks at the alarm.
set -euo pipefail
binary=$(realpath "$1") base=$(realpath "$2") picture=${3:-}
here=$(realpath "$(dirname "$0")")
top=$(realpath "$here/../..")
work=$(mktemp -d /tmp/cityhub-hour.XXXXXX)
root=$work/root init=
password=a-long-first-password
# shellcheck source=tests/foreign/booted.sh
. "$here/booted.sh"
trap leave EXIT

# The commands of the page: blocks of `sh`, one command a line, continued by \ or within quotes.
python3 - "$top/docs/en/first-hour.md" > "$work/commands" << 'PY'
import re, sys
page = open(sys.argv[1], encoding="utf-8").read()
for block in re.findall(r"```sh\n(.*?)```", page, re.S):
    command = ""
    for line in block.splitlines():
        command += ("\n" if command else "") + line
        if command.endswith("\\") or command.count("'") % 2:
            continue
        print(command, end="\0")
        command = ""
PY
count=$(tr -cd '\0' < "$work/commands" | wc -c)

PACKAGE_LEVEL=0 "$top/deploy/debian/build.sh" "$binary" 1.0.0 "$work" > "$work/name"
mkdir "$root"
tar -C "$root" -xf "$base"
cp "$(cat "$work/name")" "$root/root/"
boot
demand "no way to the internet" within sh -c '! grep -q "^[^I|]*eth\|: *[a-z]*[1-9]" /proc/net/dev || true; test "$(ls /sys/class/net)" = lo'

# Everything is typed into one shell, as somebody would; it prints a line with the time before each command.
{
  echo 'cd /root; trap "echo FAILED: \$BASH_COMMAND >&2; exit 1" ERR; set -E'
  while IFS= read -r -d '' command; do
    printf 'printf "\\n@%%s %%s\\n" "$(date +%%s.%%N)" %q\n' "$(head -n 1 <<< "$command")"
    case $command in
      *"admin user add"*) printf '{ %s\n} <<< %q\n' "$command" "$password" ;;
      *) printf '%s\n' "$command" ;;
    esac
    case $command in *"systemctl restart"* | *"dpkg -i"*) echo 'for _ in $(seq 600); do curl -sf -o /dev/null http://127.0.0.1:8080/healthz && break; sleep 0.1; done' ;; esac
    case $command in *"alarms?severity=major'") echo 'printf "\n@%s SEEN\n" "$(date +%s.%N)"' ;; esac
  done < "$work/commands"
  echo 'printf "\n@%s END\n" "$(date +%s.%N)"'
} > "$root/root/hour.sh"
step "type $count commands"
within bash /root/hour.sh > "$work/out" 2>&1 || { cat "$work/out"; fail "a command of the page failed"; }
sed 's/^/       /' "$work/out"

at() { grep -m 1 -E "^@[0-9.]+ $1" "$work/out" | sed -E 's/^@([0-9.]+) .*/\1/'; }
since() { python3 -c "print(f'{$2 - $1:.1f}')"; }
alarms=$(grep -c '"rule":"garden_road"' "$work/out" || true)
demand "the alarm is seen, and acknowledged" test "$alarms" -ge 1 -a -n "$(grep -o '"state":"active_acked"' "$work/out")"
begun=$(at 'dpkg -i') seen=$(at SEEN) ended=$(at END)

if [ -n "$picture" ]; then
  step "look at it in the console"
  nsenter -t "$init" -n python3 "$here/console_picture.py" http://127.0.0.1:8080 me "$password" /alarms "$picture" '花园路'
  fine "$picture"
fi
step "done"
echo "       $count commands; $(since "$begun" "$seen") s of machine time from the package to the alarm, $(since "$begun" "$ended") s to the end of the page"
