#!/usr/bin/env python3
"""Keeps a small data directory of a release: tests/formats/make.py PROGRAM

Runs the program with a config of its own, tells it a short story (see README.md), stops it, and
packs what it kept into tests/formats/vN/data.tar.gz, N being the number of the format. What must
be found in it is then written by hand into tests/formats/vN/expected.json.
"""
import json
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

TOKEN = "admin-0123456789abcdef0123456789abcdef"
CONFIG = f"""data_dir = "data"
[city]
name = "示范市"
code = "350200"
time_zone = "Asia/Shanghai"
[http]
listen = "127.0.0.1:0"
[drivers.ingest]
kind = "http"
listen = "127.0.0.1:0"
[auth.tokens.admin]
token = "{TOKEN}"
role = "admin"
[canary]
enabled = false
[store]
seal_cells = 1000
"""


def ask(address, method, path, body=None, token=TOKEN):
    request = urllib.request.Request(
        f"http://{address}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def tell(addresses):
    """The story. Counts in expected.json follow from these lines."""
    http, ingest = addresses["http"], addresses["ingest.listen"]
    kinds = [("gas-1", "gas_pressure"), ("gas-2", "gas_pressure"), ("noise-1", "noise")]
    place = {"lon": 118.0894, "lat": 24.4798, "datum": "WGS84"}
    devices = [{"id": name, "kind": kind, "secret": f"secret-of-{name}", "location": place} for name, kind in kinds]
    ask(http, "PUT", "/api/v1/devices", devices)
    rule = {"title": "overpressure", "kind": "threshold", "select": {"kind": "gas_pressure"},
            "metric": "pressure_kpa", "above": 400.0, "deadband": 10.0, "severity": "critical", "category": "0403"}
    ask(http, "PUT", "/api/v1/rules/gas_overpressure", rule)

    def send(device, values):
        ask(ingest, "POST", f"/devices/{device}/telemetry", values, f"secret-of-{device}")

    start = int(time.time() * 1000) - 60_000
    kpa = lambda index: 450.0 if 500 <= index < 600 else 300.0
    readings = [{"ts": start + index, "values": {"pressure_kpa": kpa(index)}} for index in range(1100)]
    for first in range(0, 1100, 100):
        send("gas-1", readings[first:first + 100])
    send("gas-1", readings[:100])
    alarms = ask(http, "GET", "/api/v1/alarms?state=all")["items"]
    ask(http, "POST", f"/api/v1/alarms/{alarms[0]['id']}/ack", {"version": alarms[0]["version"], "comment": "seen"})
    time.sleep(2)  # The seal is done between two commits.
    for index in range(50):
        send("gas-2", {"ts": start + index, "values": {"pressure_kpa": 300.0 + 3 * index, "battery_pct": 90}})
    send("noise-1", [{"ts": start + index, "values": {"laeq_dba": 55.5}} for index in range(5)])
    send("noise-1", {"ts": start + 10, "values": {"laeq_dba": 56, "nonsense": 1}})


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "hub.toml").write_text(CONFIG)
        subprocess.run([program, "admin", "user", "add", "li", "--role", "engineer", "--config", "hub.toml"],
                       cwd=folder, check=True, input=b"a long enough password\n")
        hub = subprocess.Popen([program, "run", "--config", "hub.toml"], cwd=folder, stderr=subprocess.PIPE, text=True)
        try:
            for line in hub.stderr:
                if "ready http=" in line:
                    words = line[line.index("ready"):].split()[1:]
                    break
            tell(dict(word.split("=", 1) for word in words))
        finally:
            hub.send_signal(signal.SIGTERM)
            hub.communicate(timeout=60)
        with sqlite3.connect(folder / "data" / "main.db") as database:
            (number,) = database.execute("SELECT v FROM meta WHERE k = 'format'").fetchone()
        database.close()
        into = pathlib.Path(__file__).parent / f"v{number}"
        into.mkdir(exist_ok=True)
        with tarfile.open(into / "data.tar.gz", "w:gz") as packed:
            names = ["main.db", "access.json", "segments", "state"]
            for name in names:
                packed.add(folder / "data" / name, name)
        print(into / "data.tar.gz", (into / "data.tar.gz").stat().st_size, "bytes")


main(pathlib.Path(sys.argv[1]).resolve())
