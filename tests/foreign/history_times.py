#!/usr/bin/env python3
"""history_times.py PROGRAM [DAYS]: a year of one sensor, asked of a hub that has it and of one that lost its disk and
reads it back from VictoriaMetrics: both answers must be the same, and the times stand side by side.

Wants the package victoria-metrics. Everything runs on loopback in folders of its own."""

import json
import os
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hub import Hub, check, finish, until  # noqa: E402
from mirror_servers import DAY_MS, Victoria, device, mirror  # noqa: E402

PROGRAM, DAYS = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 365
START = (int(time.time() * 1000) // DAY_MS - DAYS - 1) * DAY_MS


def fill(hub):
    """A value a minute, of which one in 500 cannot be."""
    url = f"http://127.0.0.1:{hub.ingest}/devices/gas-0001/telemetry"
    fields = {"authorization": "Bearer secret-of-gas-0001", "content-type": "application/json"}
    count = DAYS * 1440
    for first in range(0, count, 1000):
        rows = [
            {"ts": START + n * 60_000 + n % 977, "values": {"pressure_kpa": 9e6 if n % 500 == 7 else 300 + n % 4000 / 10}}
            for n in range(first, min(first + 1000, count))
        ]
        request = urllib.request.Request(url, json.dumps(rows).encode(), fields)
        urllib.request.urlopen(request, timeout=60).read()
    return count


def answer(hub, query):
    """All pages of a question, and the seconds that they took."""
    points, cursor, began = [], "", time.time()
    while True:
        page = hub.call("GET", f"devices/gas-0001/readings?metric=pressure_kpa&{query}{cursor}")
        if "points" not in page or "partial" in page:
            return page, time.time() - began
        points += page["points"]
        if not page.get("next"):
            return points, time.time() - began
        cursor = f"&cursor={page['next']}"


server = Victoria()
server.start()
first = Hub(PROGRAM, mirror(server.url))
first.register([device(1)])
count = fill(first)
until("the server has everything", lambda: server.count()[0] == count, 600)
other = Hub(PROGRAM, mirror(server.url).replace("[store]", '[store]\nhistory = "victoriametrics"'))
other.register([device(1)])
whole = f"from={START}&to={START + DAYS * DAY_MS}"
day = f"from={START}&to={START + DAY_MS}"
print(f"{count} values over {DAYS} days\n{'question':42} {'points':>7} {'hub':>9} {'server':>9}")
for name, query in [
    ("a day, raw", f"{day}&limit=10000"),
    ("a day, 1 min minmax", f"{day}&step=60s&agg=minmax&limit=10000"),
    ("everything, 1 h mean", f"{whole}&step=1h&limit=10000"),
    ("everything, 1 h max", f"{whole}&step=1h&agg=max&limit=10000"),
    ("everything, 1 d mean", f"{whole}&step=1d&limit=10000"),
    ("everything, 1 d max", f"{whole}&step=1d&agg=max&limit=10000"),
    ("everything, 6 h minmax", f"{whole}&step=6h&agg=minmax&limit=10000"),
    ("10 years around it, 1 d last", f"from={START - 3650 * DAY_MS}&step=1d&agg=last&limit=10000"),
    ("everything, raw, by 10,000", f"{whole}&limit=10000"),
]:
    ours, ours_s = answer(first, query)
    theirs, theirs_s = answer(other, query)
    print(f"{name:42} {len(ours):7} {ours_s * 1000:7.0f} ms {theirs_s * 1000:7.0f} ms")
    check(f"{name}: both answers are the same", ours == theirs)
for hub in (first, other):
    hub.stop()
server.kill()
finish()
