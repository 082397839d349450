#!/usr/bin/env python3
"""A hub that mirrors its readings to real servers: Debian's VictoriaMetrics, and InfluxDB 1 for what it has of the protocol.

    tests/foreign/mirror_servers.py PROGRAM [backfill] [kill] [tls] [influx] [day]   # PROGRAM: a cityhub with the feature `influx`

Wants the packages victoria-metrics and influxdb, and installs them with apt-get where they are missing and it may.

backfill  an empty server gets what the hub had before it knew of it, from segments and from the log
kill      the server is killed (SIGKILL) right after it took everything, started again, and has everything again
tls       the server speaks TLS with a certificate of the city's own authority; one that nobody trusts is refused
influx    InfluxDB 1.6, behind a proxy that turns the write API of version 2 into that of version 1, takes every line, refuses one
          of another type with a partial write, and understands every question of the Grafana dashboards
day       the server is away while a day of every device comes in, then gets all of it; meanwhile devices measure how long
          an acknowledgement takes: before, during the outage, while the day is drained, after
"""

import http.client
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hub import Hub, check, finish, free_port, until  # noqa: E402

DAY_MS = 86_400_000
# The scripts ask for nothing secret; whom the hub trusts is what is tried.
UNCHECKED = ssl._create_unverified_context()


def need(command, package):
    if shutil.which(command) is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], check=True)


class Victoria:
    """VictoriaMetrics with a folder of its own, which outlives its death."""

    def __init__(self, *more, scheme="http"):
        self.folder, self.port, self.more = tempfile.mkdtemp(), free_port(), more
        self.url = f"{scheme}://localhost:{self.port}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [
                "victoria-metrics",
                f"-storageDataPath={self.folder}/data",
                f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=100y",
                "-dedup.minScrapeInterval=1ms",
                "-memory.allowedPercent=10",
                *self.more,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until("the server is there", lambda: self.get("/health") == b"OK")

    def get(self, path):
        try:
            return urllib.request.urlopen(self.url + path, timeout=60, context=UNCHECKED).read()
        except OSError:
            return None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def count(self):
        """Values of all series but those of qualities, and how many instants came twice."""
        self.get("/internal/force_flush")
        match = urllib.parse.quote('{__name__=~"cityhub_.*",__name__!~".*_quality"}')
        values = twice = 0
        with urllib.request.urlopen(f"{self.url}/api/v1/export?match[]={match}", timeout=600, context=UNCHECKED) as lines:
            for line in lines:
                times = json.loads(line)["timestamps"]
                values += len(set(times))
                twice += len(times) - len(set(times))
        return values, twice


def mirror(url, more=""):
    return f"""[store]
seal_cells = 100000
seal_after_s = 20
[store.mirror.long_term]
kind = "influxdb"
url = "{url}"
org = "city"
bucket = "telemetry"
token = "any"
{more}
"""


def device(n):
    return {"id": f"gas-{n:04}", "kind": "gas_pressure", "secret": f"secret-of-gas-{n:04}"}


class Post:
    """One device that posts over a connection of its own."""

    def __init__(self, hub, name):
        self.name, self.connection = name, http.client.HTTPConnection("127.0.0.1", hub.ingest, timeout=60)

    def send(self, readings):
        body = json.dumps(readings)
        headers = {"authorization": f"Bearer secret-of-{self.name}", "content-type": "application/json"}
        while True:
            self.connection.request("POST", f"/devices/{self.name}/telemetry", body, headers)
            reply = self.connection.getresponse()
            said = reply.read()
            if reply.status == 503:
                time.sleep(0.05)
                continue
            assert reply.status == 204, (reply.status, said)
            return


def fill(hub, devices, start, minutes, threads=4):
    """Minute by minute of every device, as fast as the hub takes it."""

    def work(numbers):
        for n in numbers:
            post = Post(hub, device(n)["id"])
            for first in range(0, minutes, 240):
                rows = range(first, min(first + 240, minutes))
                post.send([
                    {"ts": start + m * 60_000 + n, "values": {"pressure_kpa": 300 + m % 40, "battery_pct": 90 - m % 7}}
                    for m in rows
                ])

    workers = [threading.Thread(target=work, args=(range(t, devices, threads),)) for t in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


class Pulse:
    """Asks the hub for acknowledgements at a steady pace, and keeps how long each took, by phase."""

    def __init__(self, hub, every_s=0.02):
        self.phase, self.took, self.sent, self.goes_on = "before", {}, 0, True
        self.thread = threading.Thread(target=self.run, args=(hub, every_s))
        self.thread.start()

    def run(self, hub, every_s):
        post, due = Post(hub, "pulse"), time.monotonic()
        while self.goes_on:
            due += every_s
            begun = time.monotonic()
            post.send({"values": {"pressure_kpa": 300 + self.sent % 50}})
            self.took.setdefault(self.phase, []).append((time.monotonic() - begun) * 1000)
            self.sent += 1
            time.sleep(max(0, due - time.monotonic()))

    def end(self):
        self.goes_on = False
        self.thread.join()

    def table(self):
        print(f"{'phase':<10} {'n':>6} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
        for phase, took in self.took.items():
            took = sorted(took)
            at = lambda share: took[min(len(took) - 1, int(len(took) * share))]  # noqa: E731
            print(f"{phase:<10} {len(took):>6} {at(0.5):>8.2f} {at(0.99):>8.2f} {took[-1]:>8.2f}")


def stored(hub):
    """What the ledger counts as stored, without the hub's own test sensor."""
    return hub.call("GET", "ledger")["total"]["stored"]


def health(hub):
    return hub.call("GET", "health")["mirrors"]["long_term"]


def has_all(hub, server, patience=300):
    begun = time.monotonic()
    until("the mirror says that it is level", lambda: health(hub)["level"], patience)
    took = time.monotonic() - begun
    until("the server has what the ledger counts", lambda: server.count()[0] == stored(hub), 30)
    values, twice = server.count()
    print(f"       {values} values on the server, {stored(hub)} stored by the hub, {twice} instants twice, level after {took:.1f} s")
    print(f"       {health(hub)}")


def backfill(program):
    print("== an empty server gets what was there before it")
    server = Victoria()
    hub = Hub(program, "[store]\nseal_cells = 20000\nseal_after_s = 2\n")
    hub.register([device(n) for n in range(40)])
    start = int(time.time() * 1000) // DAY_MS * DAY_MS - 3 * DAY_MS
    fill(hub, 40, start, 2 * 1440)
    until("most of it rests in segments", lambda: hub.call("GET", "health")["store"]["sealed_readings"] > 100_000)
    hub.stop()
    server.start()
    with open(f"{hub.folder}/hub.toml", "a") as file:
        file.write(mirror(server.url).replace("[store]\nseal_cells = 100000\nseal_after_s = 20\n", ""))
    hub.start()
    has_all(hub, server)
    check("nothing was sent twice", health(hub)["sent_readings"] - stored(hub) < 100, health(hub)["sent_readings"])
    check("the hub stops by itself", hub.stop() == 0)
    server.kill()


def kill(program):
    print("== the server is killed right after it took everything")
    server = Victoria()
    server.start()
    hub = Hub(program, mirror(server.url))
    hub.register([device(n) for n in range(20)])
    start = int(time.time() * 1000) - 1500 * 60_000
    for round_number in range(3):
        fill(hub, 20, start + round_number * 250 * 60_000, 250)
        until("the server took everything", lambda: health(hub)["level"] and server.count()[0] == stored(hub))
        taken = health(hub)["sent_readings"]
        server.kill()
        server.start()
        print(f"       taken before the kill: {taken}; the server still has {server.count()[0]} of {stored(hub)}")
        until("the hub noticed", lambda: health(hub)["rewinds"] > round_number, 60)
        has_all(hub, server)
    check("the hub stops by itself", hub.stop() == 0)
    server.kill()


def tls(program):
    print("== a server with a certificate of the city's own authority")
    folder = tempfile.mkdtemp()
    run = lambda *args: subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)  # noqa: E731
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=city")
    run("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    with open(f"{folder}/names", "w") as file:
        file.write("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
        "-extfile", "names", "-out", "server.crt")
    server = Victoria("-tls", f"-tlsCertFile={folder}/server.crt", f"-tlsKeyFile={folder}/server.key", scheme="https")
    server.start()
    hub = Hub(program, mirror(server.url))
    hub.register([device(n) for n in range(4)])
    fill(hub, 4, int(time.time() * 1000) - 3_600_000, 50)
    until("a certificate that nobody signed is refused", lambda: "ertificate" in (health(hub)["last_error"] or ""))
    check("and nothing was sent", health(hub)["sent_lines"] == 0)
    hub.stop()
    with open(f"{hub.folder}/hub.toml", "a") as file:
        file.write(f'ca_file = "{folder}/ca.crt"\n')
    hub.start()
    has_all(hub, server)
    check("the hub stops by itself", hub.stop() == 0)
    server.kill()


class Influx1:
    """InfluxDB 1 with a proxy before it."""

    def __init__(self):
        self.folder, self.port = tempfile.mkdtemp(), free_port()
        meta, data, wal = (f"{self.folder}/{part}" for part in ("meta", "data", "wal"))
        with open(f"{self.folder}/influxdb.conf", "w") as file:
            file.write(f"""reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
dir = "{meta}"
[data]
dir = "{data}"
wal-dir = "{wal}"
[http]
bind-address = "127.0.0.1:{self.port}"
""")
        config = f"{self.folder}/influxdb.conf"
        self.process = subprocess.Popen(["influxd", "-config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("InfluxDB is there", lambda: self.ask("SHOW DATABASES") is not None)
        self.ask("CREATE DATABASE telemetry", "POST")
        self.proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Proxy", (Proxy,), {"port": self.port}))
        self.url = f"http://127.0.0.1:{self.proxy.server_port}"
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()

    def ask(self, question, method="GET"):
        query = urllib.parse.urlencode({"q": question, "db": "telemetry", "epoch": "ms"})
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/query?{query}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return json.loads(reply.read())["results"][0]
        except urllib.error.HTTPError as error:
            return json.loads(error.read())
        except OSError:
            return None

    def write(self, lines):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/write?db=telemetry&precision=ms", lines.encode())
        urllib.request.urlopen(request, timeout=30)

    def count(self):
        series = self.ask("SELECT count(*) FROM cityhub").get("series")
        if not series:
            return 0
        counts = dict(zip(series[0]["columns"], series[0]["values"][0]))
        skipped = ("_quality", "_lat", "_accuracy_m", "_locked")
        return sum(n for name, n in counts.items() if name != "time" and not name.endswith(skipped))


class Proxy(http.server.BaseHTTPRequestHandler):
    """POST /api/v2/write becomes POST /write of version 1; a question for the health is answered here."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        wanted = asked.get("precision") == ["ms"] and self.path.startswith("/api/v2/write?") and "Token " in self.headers["authorization"]
        if not wanted:
            return self.answer(400, b"{}")
        target = f"http://127.0.0.1:{self.port}/write?db={asked['bucket'][0]}&precision=ms"
        try:
            with urllib.request.urlopen(urllib.request.Request(target, body), timeout=30) as reply:
                return self.answer(reply.status, reply.read())
        except urllib.error.HTTPError as error:
            return self.answer(error.code, error.read())

    def log_message(self, *_):
        pass


def questions():
    """What the Grafana dashboards ask about readings, with their variables filled in."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../dashboards/grafana")
    for name in ("bikes", "dust", "gas", "noise", "smoke"):
        with open(f"{folder}/{name}.json") as file:
            board = json.load(file)
        asked = [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
        asked += [target["query"] for panel in board["panels"] for target in panel["targets"]]
        for question in asked:
            filled = {"$timeFilter": "time > now() - 7d", "$__interval": "1h", "$device": ".*", "$bike": ".*"}
            for variable, value in filled.items():
                question = question.replace(variable, value)
            yield name, question


def influx(program):
    print("== InfluxDB 1.6 takes every line, and understands the dashboards")
    server = Influx1()
    hub = Hub(program, mirror(server.url))
    now = int(time.time() * 1000) - 3_600_000
    kinds = {
        "gas_pressure": ["pressure_kpa", "temperature_c", "battery_pct"],
        "noise": ["laeq_dba", "lamax_dba"],
        "dust": ["tsp_ugm3", "pm10_ugm3", "pm25_ugm3", "wind_speed_ms", "wind_direction_deg", "temperature_c", "humidity_pct"],
        "smoke": ["smoke_obscuration_dbm", "smoke_alarm", "fault", "temperature_c", "battery_pct"],
        "bike_fence": ["parked_count"],
        "bike": ["battery_pct"],
    }
    devices = [{"id": f"{kind}-{n}", "kind": kind, "secret": f"secret-of-{kind}-{n}"} for kind in kinds for n in range(5)]
    # Names that the protocol has to escape.
    devices.append({"id": 'a=b,c"花园路"', "kind": "noise", "secret": 'secret-of-a'})
    hub.register(devices)
    # One device's field is of another type there already.
    server.write(f"cityhub,device=smoke-4 direction_deg=1i {now}")
    for device in devices[:-1]:
        post = Post(hub, device["id"])
        rows = [{"ts": now + m * 60_000, "values": {metric: 20 + m % 5 + 0.5 for metric in kinds[device["kind"]]}} for m in range(60)]
        if device["kind"] == "bike":
            for row in rows:
                row["values"]["position"] = {"lon": 118.1, "lat": 24.5, "accuracy_m": 3, "locked": True}
        post.send(rows)
    dead = 3
    Post(hub, "smoke-4").send([{"ts": now + 3_500_000 + n, "values": {"direction_deg": 1.5}} for n in range(dead)])
    name = urllib.parse.quote('a=b,c"花园路"')
    request = urllib.request.Request(
        f"http://127.0.0.1:{hub.ingest}/devices/{name}/telemetry",
        json.dumps({"ts": now, "values": {"laeq_dba": 55.5}}).encode(),
        {"authorization": "Bearer secret-of-a", "content-type": "application/json"},
    )
    check("a device with a name to be escaped is heard", urllib.request.urlopen(request).status == 204)
    # The integer written first is one more, and what was refused is as many fewer.
    until("every other line is there", lambda: server.count() == stored(hub) - dead + 1, 60)
    print(f"       {server.count()} values on the server, {stored(hub)} stored by the hub, {dead} refused by the server")
    until("what it refused is counted", lambda: health(hub)["dead_letters"] == dead)
    print(f"       {health(hub)['last_dead_letter']}")
    tags = server.ask("SHOW TAG VALUES FROM cityhub WITH KEY = device")["series"][0]["values"]
    check("the escaped name is the device's", ["device", 'a=b,c"花园路"'] in tags)
    asked = list(questions())
    wrong = [(board, q, answer) for board, q in asked if "series" not in (answer := server.ask(q))]
    check(f"{len(asked)} questions of the dashboards have answers", not wrong, wrong)
    for board, question in asked[:1]:
        print(f"       {board}: {server.ask(question)['series'][0]}")
    check("the hub stops by itself", hub.stop() == 0)
    server.process.kill()


def day(program, devices):
    print(f"== a server that is away for a day of {devices} devices, once a minute, two values each")
    server = Victoria()
    server.start()
    hub = Hub(program, mirror(server.url))
    hub.register([device(n) for n in range(devices)])
    hub.register([{"id": "pulse", "kind": "gas_pressure", "secret": "secret-of-pulse"}])
    pulse = Pulse(hub)
    time.sleep(20)
    server.kill()
    pulse.phase = "away"
    time.sleep(20)
    # A day in the devices' own times, sent as fast as the hub takes it: how long it takes is not a day.
    pulse.phase = "filling"
    begun = time.monotonic()
    fill(hub, devices, int(time.time() * 1000) - 2 * DAY_MS, 1440)
    print(f"       {devices * 1440 * 2} values taken in {time.monotonic() - begun:.1f} s while the server was away")
    pulse.phase = "away, full"
    time.sleep(20)
    print(f"       before it comes back: {health(hub)}")
    pulse.phase = "draining"
    server.start()
    begun = time.monotonic()
    until("the mirror is level", lambda: health(hub)["level"], 600)
    print(f"       drained in {time.monotonic() - begun:.1f} s")
    pulse.phase = "after"
    time.sleep(20)
    pulse.end()
    pulse.table()
    has_all(hub, server)
    server.kill()
    finish(hub)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    need("victoria-metrics", "victoria-metrics")
    wanted = sys.argv[2:] or ["backfill", "kill", "tls", "influx", "day"]
    if "backfill" in wanted:
        backfill(sys.argv[1])
    if "kill" in wanted:
        kill(sys.argv[1])
    if "tls" in wanted:
        tls(sys.argv[1])
    if "influx" in wanted:
        need("influxd", "influxdb")
        influx(sys.argv[1])
    if "day" in wanted:
        day(sys.argv[1], int(os.environ.get("DEVICES", "200")))
    finish()
