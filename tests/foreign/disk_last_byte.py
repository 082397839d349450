#!/usr/bin/env python3
"""Fills the disk of a real hub under load to the last byte, keeps it full, and frees it.

usage: disk_last_byte.py PATH_OF_CITYHUB [tmpfs|ext4] [RESERVE_MB]

Makes a small file system in a mount namespace of its own (ext4 in a file needs root, tmpfs only user
namespaces). Whoever acts as the service manager here starts the hub again two seconds after it ends with
74, for ever. Every acknowledgement is noted outside; all of them must be in history at the end. With
RESERVE_MB 0 the hub keeps no room for itself, and ends with 74 at the commit that does not fit. Ends with a
line that counts what held.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from hub import Hub, check, finish, until

DEVICES = 40
SIZE_MB = 160
FULL_S, EATEN_S = 6, 8


def in_a_namespace_of_its_own():
    if os.environ.get("KEPT_APART"):
        return
    os.environ["KEPT_APART"] = "1"
    apart = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    os.execvp("unshare", [*apart, sys.executable, *sys.argv])


def mount(kind):
    """A file system of its own; gives where it is, and what to throw away."""
    outside = tempfile.mkdtemp()
    place = f"{outside}/disk"
    os.mkdir(place)
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "none", place], check=True)
    else:
        image = f"{outside}/image"
        with open(image, "wb") as file:
            file.truncate(SIZE_MB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True)
    return outside, place


class Manager(threading.Thread):
    """Restart=on-failure RestartForceExitStatus=74 RestartSec=2 StartLimitIntervalSec=0."""

    def __init__(self, hub):
        super().__init__(daemon=True)
        self.hub, self.over, self.ends = hub, False, []

    def run(self):
        while not self.over:
            status = self.hub.process.poll()
            if status is None:
                time.sleep(0.02)
                continue
            if self.over:
                return
            self.ends.append(status)
            time.sleep(2)
            self.hub.start()


class Senders:
    """Devices that post readings as fast as they are acknowledged, and send again what was not."""

    def __init__(self, hub):
        self.hub, self.over = hub, False
        self.acked = {f"gas-{n}": set() for n in range(DEVICES)}
        self.answers, self.seconds = {}, []
        self.threads = [threading.Thread(target=self.send, args=(n,), daemon=True) for n in range(8)]
        for thread in self.threads:
            thread.start()

    def send(self, part):
        names = [name for n, name in enumerate(self.acked) if n % 8 == part]
        start, number, connection = int(time.time() * 1000) - 3_600_000, 0, None
        while not self.over:
            for name in names:
                times = [start + number * 20 + i for i in range(20)]
                body = json.dumps([{"ts": t, "values": {"pressure_kpa": 300 + t % 97 / 7}} for t in times])
                status = None
                while status is None and not self.over:
                    try:
                        connection = connection or http.client.HTTPConnection("127.0.0.1", self.hub.ingest, timeout=10)
                        began = time.time()
                        connection.request("POST", f"/devices/{name}/telemetry", body, {"authorization": f"Bearer s-{name}"})
                        reply = connection.getresponse()
                        reply.read()
                        status = reply.status
                        self.seconds.append(time.time() - began)
                    except OSError:
                        connection = None
                        time.sleep(0.05)
                    except http.client.HTTPException:
                        connection = None
                    self.answers[status] = self.answers.get(status, 0) + 1
                    if status == 503:
                        status = None
                        time.sleep(0.05)
                if status is not None and 200 <= status < 300:
                    self.acked[name].update(times)
            number += 1

    def count(self):
        return sum(len(times) for times in self.acked.values())

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join(20)


def fill(file):
    """Takes whatever is free, to the last byte."""
    block = 1 << 20
    while block:
        try:
            os.write(file, b"\x5a" * block)
        except OSError:
            block //= 2


def take_at_once(file, place):
    """Takes all that is free in one call, so that what the hub lets go afterwards is its own."""
    os.posix_fallocate(file, os.fstat(file).st_size, free_bytes(place))
    print(f"       {free_bytes(place)} bytes are free", flush=True)


def health(hub):
    try:
        return hub.call("GET", "health")
    except OSError:
        return {}


def free_bytes(place):
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def main():
    in_a_namespace_of_its_own()
    program = os.path.abspath(sys.argv[1])
    kind = sys.argv[2] if len(sys.argv) > 2 else "tmpfs"
    reserve = int(sys.argv[3]) if len(sys.argv) > 3 else 32
    outside, place = mount(kind)
    tempfile.tempdir = place
    hub = Hub(program, f"[store]\nseal_cells = 200000\n[store.disk]\nreserve_mb = {reserve}\nwarn_free_pct = 20\n")
    devices = [{"id": f"gas-{n}", "kind": "gas_pressure", "secret": f"s-gas-{n}", "cadence_s": 2} for n in range(DEVICES)]
    hub.register([*devices, {"id": "alarmed", "kind": "gas_pressure", "secret": "s-alarmed"}])
    rule = {"title": "over", "kind": "threshold", "select": {}, "metric": "pressure_kpa", "above": 400.0, "severity": "critical"}
    hub.call("PUT", "rules/over", rule)
    raise_alarm(hub)
    manager, senders = Manager(hub), Senders(hub)
    manager.start()
    time.sleep(4)
    before = senders.count()
    rate = before / 4
    check("readings are acknowledged", before > 1_000, f"{rate:.0f} readings/s on {kind}, reserve {reserve} MB")

    file = os.open(f"{place}/other", os.O_WRONLY | os.O_CREAT)
    filled_at = time.time()
    leave_little(file, place)
    if reserve:
        until("it says that little is left", lambda: health(hub).get("storage", {}).get("state") in ("low", "full"))
    take_at_once(file, place)
    if reserve:
        no_room(hub, senders, filled_at)
    else:
        until("it ends with 74", lambda: 74 in manager.ends)
    print(f"       full: {free_bytes(place)} bytes free, ends {manager.ends}, {senders.count() - before} acknowledged since", flush=True)

    # From here on every byte that the hub lets go is taken too.
    deadline = time.time() + EATEN_S
    while time.time() < deadline:
        fill(file)
        time.sleep(0.01)
    check("nobody ends it otherwise", set(manager.ends) <= {74}, f"{len(manager.ends)} ends: {manager.ends}")
    os.close(file)
    os.remove(f"{place}/other")
    freed_at, held = time.time(), senders.count()
    until("it goes on by itself", lambda: senders.count() > held + 1_000, 60)
    print(f"       back {time.time() - freed_at:.1f} s after the disk was freed", flush=True)
    time.sleep(2)
    senders.stop()
    everything_is_there(hub, senders)
    manager.over = True
    print(f"       answers {senders.answers}; ends {manager.ends}", flush=True)
    try:
        finish(hub)
    finally:
        subprocess.run(["umount", place], check=False)
        shutil.rmtree(outside, ignore_errors=True)


def raise_alarm(hub):
    connection = http.client.HTTPConnection("127.0.0.1", hub.ingest, timeout=10)
    connection.request("POST", "/devices/alarmed/telemetry", '{"pressure_kpa": 450}', {"authorization": "Bearer s-alarmed"})
    connection.getresponse().read()
    until("an alarm is raised", lambda: hub.call("GET", "alarms").get("items"))


def leave_little(file, place):
    """Fills it but for a sixth, so that the warning has its time."""
    while free_bytes(place) > SIZE_MB << 20 >> 3:
        os.write(file, b"\x5a" * (1 << 20))


def no_room(hub, senders, since):
    until("health says that the disk is full", lambda: health(hub).get("storage", {}).get("state") == "full")
    report = health(hub)
    check("and that no reading is taken", report["storage"]["takes_readings"] is False, report["storage"]["advice"])
    check("and that it is degraded by it", "storage" in report["degraded_by"], report["degraded_by"])
    held = senders.count()
    alarm = hub.call("GET", "alarms")["items"][0]
    answer = hub.call("POST", f"alarms/{alarm['id']}/ack", {"comment": "seen"})
    check("an officer acknowledges an alarm on a full disk", "status" not in answer, answer.get("state"))
    time.sleep(FULL_S)
    check("nothing is acknowledged meanwhile", senders.count() == held, senders.answers)
    offline = hub.call("GET", "events?types=cityhub.device.offline")["items"]
    check("no device counts as silent on that account", offline == [], len(offline))
    said = [event["type"] for event in hub.call("GET", "events?types=cityhub.storage")["items"]]
    check("the feed says it once", said == ["cityhub.storage.low", "cityhub.storage.full"], said)


def everything_is_there(hub, senders):
    lost, stored = 0, 0
    for name, times in senders.acked.items():
        found = {int(point[0]) for point in hub.points(name, "pressure_kpa")}
        lost += len(times - found)
        stored += len(found)
    check("every acknowledged reading is there", lost == 0, f"{senders.count()} acknowledged, {stored} stored, {lost} lost")
    total = hub.call("GET", "ledger")["total"]
    whole = total["received"] == total["stored"] + total["duplicate"] + sum(total["rejected"].values())
    check("received = stored + duplicate + rejected", whole, total)


if __name__ == "__main__":
    main()
