#!/usr/bin/env python3
"""Backs a real hub up and exports from it while it takes 20,000 readings a second, and restores the backup.

usage: backup_under_load.py PATH_OF_CITYHUB [READINGS_PER_SECOND [SECONDS_BEFORE]]

Eight connections post a hundred readings at a time over HTTP, at a pace that does not wait for the hub. Prints
the pace and the time to the acknowledgement before, during and after, sizes and seconds. Then the backup is
restored into an empty folder: its ledger must be that of the manifest, `verify` must agree, and every reading
acknowledged before the backup began must be in an export of it. Ends with a line that counts what held.
"""

import csv
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from hub import Hub, check, finish

CONNECTIONS, BATCH, DEVICES = 8, 100, 400


class Load:
    """Posts at a pace of its own; keeps when each was sent, how long it took, and what it held."""

    def __init__(self, hub, pace):
        self.hub, self.over, self.done, self.failed = hub, False, [], 0
        self.pause = CONNECTIONS * BATCH / pace
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.post, args=(part,), daemon=True) for part in range(CONNECTIONS)]
        for thread in self.threads:
            thread.start()

    def post(self, part):
        names = [f"gas-{n}" for n in range(DEVICES) if n % CONNECTIONS == part]
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.ingest, timeout=30)
        number, due = 0, time.time()
        start = int(time.time() * 1000) - 86_400_000
        while not self.over:
            wait = due - time.time()
            if wait > 0:
                time.sleep(wait)
            due = max(due + self.pause, time.time() - 1)
            name, first = names[number % len(names)], start + number // len(names) * BATCH
            body = "[" + ",".join(f'{{"ts":{first + i},"values":{{"pressure_kpa":{300 + i / 8}}}}}' for i in range(BATCH)) + "]"
            began = time.time()
            connection.request("POST", f"/devices/{name}/telemetry", body, {"authorization": f"Bearer s-{name}"})
            reply = connection.getresponse()
            reply.read()
            ended = time.time()
            with self.lock:
                if reply.status == 204:
                    self.done.append((began, ended, name, first))
                else:
                    self.failed += 1
            number += 1

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join(60)

    def figures(self, what, since, until):
        with self.lock:
            took = sorted((ended - began) * 1000 for began, ended, _, _ in self.done if since <= began < until)
        if not took:
            return
        rate = len(took) * BATCH / (until - since)
        p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
        print(f"       {what}: {rate:.0f} readings/s, ack p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {took[-1]:.1f} ms, {until - since:.1f} s", flush=True)
        return rate


def size(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def command(hub, what, *words):
    began = time.time()
    done = subprocess.run([hub.program, *words], cwd=hub.folder, capture_output=True, text=True)
    ended = time.time()
    check(what, done.returncode == 0, (done.stdout + done.stderr).strip().splitlines()[-1:])
    return began, ended, done.stdout


def main():
    pace = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    before = float(sys.argv[3]) if len(sys.argv) > 3 else 15
    hub = Hub(sys.argv[1], "[store]\nseal_cells = 300000\nseal_after_s = 5\n")
    hub.register([{"id": f"gas-{n}", "kind": "gas_pressure", "secret": f"s-gas-{n}"} for n in range(DEVICES)])
    load, began = Load(hub, pace), time.time()
    time.sleep(before)
    rate = load.figures("before", began + 1, time.time())
    check("the load is what it shall be", rate is not None and rate > 0.9 * pace, f"{rate:.0f} readings/s")

    outside = tempfile.mkdtemp()
    since, until, _ = command(hub, "the backup is whole", "backup", f"{outside}/backup", "--config", "hub.toml")
    load.figures("during the backup", since, until)
    print(f"       backup of {size(f'{outside}/backup') / 1e6:.1f} MB in {until - since:.2f} s", flush=True)
    with load.lock:
        early = [(name, first) for _, ended, name, first in load.done if ended < since]
    for form in ("csv", "parquet"):
        out = f"{outside}/out.{form}"
        from_, to, _ = command(hub, f"{form} is exported", "export", "readings", "--config", "hub.toml", "--format", form, "--out", out)
        load.figures(f"during the export of {form}", from_, to)
        print(f"       {size_of(out) / 1e6:.1f} MB of {form} in {to - from_:.2f} s", flush=True)
    after = time.time()
    time.sleep(5)
    load.figures("after", after, time.time())
    load.stop()
    check("every post was acknowledged", load.failed == 0, f"{len(load.done) * BATCH} readings, {load.failed} posts refused")
    total = hub.call("GET", "ledger")["total"]
    check("the hub has stored what it acknowledged", total["stored"] >= len(load.done) * BATCH, total)
    restored(hub, outside, early)
    shutil.rmtree(outside)
    finish(hub)


def size_of(file):
    return os.path.getsize(file)


def restored(hub, outside, early):
    target = f"{outside}/data"
    command(hub, "it is restored", "restore", f"{outside}/backup", "--config", "hub.toml", "--data-dir", target)
    with open(f"{outside}/backup/manifest.json") as file:
        cut = json.load(file)["cut"]["ledger"]
    since, until, said = command(hub, "verify agrees with the copy", "verify", "--config", "hub.toml", "--data-dir", target)
    print(f"       verified in {until - since:.1f} s", flush=True)
    figures = [f"{cut['received']}", f"{cut['stored']}"]
    check("its ledger is that of the manifest", all(figure in said for figure in figures), f"{cut}: {said.strip().splitlines()[:8]}")
    out = f"{outside}/again.csv"
    command(hub, "it can be exported", "export", "readings", "--config", "hub.toml", "--data-dir", target, "--out", out)
    found = set()
    with open(out, newline="") as file:
        for row in csv.DictReader(file):
            found.add((row["device"], row["time"]))
    check("it has as many readings as its ledger", len(found) == cut["stored"], f"{len(found)} of {cut['stored']}")

    def stamp(ms):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"

    lost = sum((name, stamp(first + i)) not in found for name, first in early for i in range(BATCH))
    check("what was acknowledged before it began is in it", lost == 0, f"{len(early) * BATCH} readings, {lost} lost")


if __name__ == "__main__":
    main()
