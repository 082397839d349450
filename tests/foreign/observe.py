#!/usr/bin/env python3
"""Has Prometheus' own tools judge the figures of a busy hub, the rules that alert on them and their cases.

usage: observe.py PATH_OF_CITYHUB

Needs promtool (Debian: prometheus). Ends with a line that counts what held.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from hub import TOKEN, Hub, check, finish, free_port, until

RULES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/prometheus")


def promtool(*args, **more):
    done = subprocess.run(["promtool", *args], capture_output=True, text=True, **more)
    return done.returncode, (done.stdout + done.stderr).strip()


def post(hub, device, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{hub.ingest}/devices/{device}/telemetry", body, method="POST",
        headers={"authorization": f"Bearer secret-{device}", "content-type": "application/json"})
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


def page(hub):
    request = urllib.request.Request(
        f"http://127.0.0.1:{hub.http}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return reply.read().decode()


def value(hub, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", page(hub), re.M)
    return float(found[1]) if found else None


def main(program):
    for file, verb in [("alerts.yaml", "check"), ("alerts.test.yaml", "test")]:
        status, said = promtool(verb, "rules", os.path.join(RULES, file))
        check(f"promtool {verb} rules {file}", status == 0, said.splitlines()[-1])
    # A rule that is wrong must fail its case, or the cases prove nothing.
    with open(os.path.join(RULES, "alerts.yaml")) as file:
        rules = file.read()
    with open(os.path.join(RULES, "alerts.test.yaml")) as file:
        cases = file.read()
    broken = 0
    swaps = [("cityhub_rules_lag_seconds > 5", "cityhub_rules_lag_seconds > 50"), ("* 0) != 0", "* 0) > 100"),
             ("7 * 86400) < 0", "7 * 86400) > 0"), ("== 0'\n        for: 2m", "== 0'\n        for: 9m")]
    for old, new in swaps:
        folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"observe-{os.getpid()}")
        os.makedirs(folder, exist_ok=True)
        assert old in rules, old
        with open(f"{folder}/alerts.yaml", "w") as file:
            file.write(rules.replace(old, new))
        with open(f"{folder}/alerts.test.yaml", "w") as file:
            file.write(cases)
        broken += promtool("test", "rules", f"{folder}/alerts.test.yaml")[0] != 0
    check("each rule that is made wrong fails its case", broken == len(swaps), f"{broken} of {len(swaps)}")

    hub = Hub(program, more=f"""
[canary]
every_s = 1
[sinks.city]
kind = "webhook"
url = "http://127.0.0.1:{free_port()}/"
secret = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
[telemetry.otlp]
endpoint = "http://127.0.0.1:{free_port()}"
trace_ratio = 1.0
[log]
repeats_max = 5
level = "debug"
""")
    until("the canary came through", lambda: "cityhub_canary_duration_seconds " in page(hub))
    hub.register([{"id": "gas-1", "kind": "gas_pressure", "secret": "secret-gas-1", "cadence_s": 60,
                   "name": 'quote " back \\ line \n end'}])
    started, cpu = time.time(), value(hub, "process_cpu_seconds_total")
    for i in range(200):
        post(hub, "gas-1", json.dumps({"values": {"pressure_kpa": 300.0 + i}}).encode())
    post(hub, "gas-1", b'{"values": {"pressure_kpa": "much"}}')
    post(hub, "gas-1", b"\xff\n")
    post(hub, "nobody", b"{}")
    # A device gone mad: a CONNECT that ends before it begins, again and again.
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", hub.mqtt), timeout=10) as mad:
            mad.sendall(b"\x10\x02\x00\x04")
            mad.recv(64)
    until("refusals are counted", lambda: "cityhub_refused_total{" in page(hub))
    text = page(hub)
    status, said = promtool("check", "metrics", input=text)
    check("promtool check metrics of a busy hub", status == 0 and not said, said or f"{len(text)} bytes")
    check("no device is named", "gas-1" not in text)
    status, said = promtool("check", "metrics", input=text.replace("_total ", " ").replace("_total{", "{"))
    check("a page that is wrong would not pass", status != 0 or said, said.splitlines()[0] if said else "")

    # What the system says of the process, by the system's own tools.
    pid = hub.process.pid
    with open(f"/proc/{pid}/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    told = value(hub, "process_resident_memory_bytes")
    check("resident memory is what the system says", 0.8 < told / resident < 1.25, f"{told:.0f}, {resident}")
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    told = value(hub, "process_open_fds")
    check("open descriptors are what the system says", abs(told - fds) <= 4, f"{told:.0f}, {fds}")
    used = value(hub, "process_cpu_seconds_total") - cpu
    check("processor time grows, and not faster than time", 0 < used < 2 * (time.time() - started) + 1, f"{used:.2f} s")
    acks = value(hub, "cityhub_ack_seconds_count")
    check("every message has its acknowledgement's time counted", acks >= 202, acks)
    total = {name: sum(float(n) for n in re.findall(rf"^cityhub_values_{name}_total{{[^}}]*}} (\S+)$", page(hub), re.M))
             for name in ("received", "stored", "duplicate", "rejected")}
    check("received = stored + duplicate + rejected", total["received"] == total["stored"] + total["duplicate"]
          + total["rejected"] and total["rejected"] >= 2, total)
    until("lines that repeat are counted, not written", lambda: value(hub, "cityhub_log_withheld_total") > 0
          and value(hub, "cityhub_log_withheld_total"))
    begun = time.perf_counter()
    for _ in range(20):
        page(hub)
    check("a look takes no time", time.perf_counter() - begun < 2, f"{(time.perf_counter() - begun) * 50:.1f} ms each")
    finish(hub)


if __name__ == "__main__":
    main(sys.argv[1])
