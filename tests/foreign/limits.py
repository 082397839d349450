#!/usr/bin/env python3
"""What floods, guesses and strangers can do: curl, paho, mosquitto_pub and coap-client against a hub with limits.

    pip install paho-mqtt; apt-get install curl mosquitto-clients libcoap3-bin
    tests/foreign/limits.py target/debug/cityhub [SECONDS]
"""
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import threading
import time

import paho.mqtt.client as mqtt
from hub import EVER, TOKEN, Hub, check, finish, free_port

HONEST = 100
PROGRAM, SECONDS = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
MAD_SECRET = "mad-0c1b2a3948576655443322"


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


class Fleet:
    """Honest devices, one connection each, one message a second; remembers what each PUBACK took."""

    def __init__(self, hub):
        self.hub, self.waits, self.end, self.sent = hub, [], threading.Event(), 0
        self.clients = []
        for number in range(HONEST):
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"h{number}")
            client.username_pw_set(f"h{number}", f"s-h{number}")
            client.connect("127.0.0.1", hub.mqtt)
            client.loop_start()
            self.clients.append(client)

    def run(self, seconds):
        """Gives how long the acknowledgements of that time took, in ms."""
        self.waits, began = [], time.time()
        threads = [threading.Thread(target=self.speak, args=(n, began + seconds)) for n in range(HONEST)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return self.waits

    def speak(self, number, until):
        time.sleep(number / HONEST)
        while time.time() < until:
            begin = time.time()
            self.clients[number].publish(f"devices/h{number}/telemetry", '{"battery_pct":50}', 1).wait_for_publish(30)
            self.waits.append((time.time() - begin) * 1000)
            self.sent += 1
            time.sleep(max(0, begin + 1 - time.time()))

    def stop(self):
        [client.disconnect() for client in self.clients]
        [client.loop_stop() for client in self.clients]


class Place:
    """What a process of its own must know of a hub."""

    def __init__(self, hub):
        self.mqtt, self.ingest, self.coap, self.folder = hub.mqtt, hub.ingest, hub.coap, hub.folder


def flood_mqtt(hub, end, counts):
    """A client that keeps to the protocol and sends as fast as it can."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="mad")
    client.username_pw_set("mad", MAD_SECRET)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", hub.mqtt)
    client.loop_start()
    while not end.is_set():
        sent = [client.publish("devices/mad/telemetry", '{"pm10_ugm3":80}', 1) for _ in range(500)]
        counts["mqtt sent"] += len(sent)
        try:
            while not end.is_set() and not sent[-1].is_published():
                time.sleep(0.01)
            counts["mqtt acknowledged"] += sum(one.is_published() for one in sent)
        except RuntimeError:
            # Hung up on: what HTTP and CoAP sent beside it left nothing to wait for.
            counts["mqtt closed"] += 1
            time.sleep(1)
    client.disconnect()
    client.loop_stop()


def flood_http(hub, end, counts):
    """curl, twenty at once, without waiting for what it is told."""
    lines = "".join(
        f'url = "http://127.0.0.1:{hub.ingest}/devices/mad/telemetry"\n'
        f'header = "Authorization: Bearer {MAD_SECRET}"\ndata = "@{hub.folder}/body.json"\noutput = "/dev/null"\n'
        'write-out = "%{http_code} %header{retry-after}\\n"\nnext\n'
        for _ in range(200)
    )
    with open(f"{hub.folder}/body.json", "w") as file:
        json.dump([{"values": {"pm25_ugm3": n}} for n in range(50)], file)
    with open(f"{hub.folder}/curl", "w") as file:
        file.write(lines.removesuffix("next\n"))
    while not end.is_set():
        told = subprocess.run(
            ["curl", "-s", "--parallel", "--parallel-max", "20", "-K", f"{hub.folder}/curl"],
            capture_output=True, text=True, timeout=120,
        ).stdout.split("\n")
        for line in filter(None, told):
            code, _, wait = line.partition(" ")
            counts[f"http {code}"] = counts.get(f"http {code}", 0) + 1
            if code == "429" and not wait.strip().isdigit():
                counts["429 without Retry-After"] += 1


def flood_coap(hub, end, counts):
    while not end.is_set():
        told = subprocess.run(
            ["coap-client-notls", "-v", "6", "-B", "8", "-m", "post", "-t", "50", "-e", '{"pm10_ugm3":1}',
             f"coap://127.0.0.1:{hub.coap}/devices/mad/telemetry?k={MAD_SECRET}"],
            capture_output=True, text=True,
        )
        text = told.stdout + told.stderr
        word = next((code for code in ("2.04", "4.29", "5.03") if code in text), "none")
        counts[f"coap {word}"] = counts.get(f"coap {word}", 0) + 1


def lines_of(waits):
    return f"{len(waits)} acknowledged, p50 {statistics.median(waits):.1f} ms, p99 {percentile(waits, 0.99):.1f} ms"


def flood(quota):
    """A hub with a hundred honest devices and a mad one, which speaks from processes of its own."""
    coap = free_port()
    hub = Hub(PROGRAM, more=f"""
[drivers.coap]
kind = "coap"
listen = "127.0.0.1:{coap}"
[limits.devices.mad]
{quota}
""")
    hub.coap = coap
    hub.call("PUT", "devices", [{"id": "mad", "kind": "dust", "secret": MAD_SECRET}]
             + [{"id": f"h{n}", "kind": "smoke", "secret": f"s-h{n}"} for n in range(HONEST)])
    fleet = Fleet(hub)
    fleet.run(3)
    quiet = fleet.run(SECONDS)
    end, counts = multiprocessing.Event(), multiprocessing.Manager().dict()
    counts.update({"mqtt sent": 0, "mqtt closed": 0, "mqtt acknowledged": 0, "429 without Retry-After": 0})
    began = time.time()
    place = Place(hub)
    mad = [multiprocessing.Process(target=of, args=(place, end, counts)) for of in (flood_mqtt, flood_http, flood_coap)]
    [process.start() for process in mad]
    loud = fleet.run(SECONDS)
    fast = hub.call("GET", "health")["intake"]["too_fast"]
    end.set()
    [process.join() for process in mad]
    seconds = time.time() - began
    fleet.stop()
    time.sleep(3)
    counts = dict(counts)
    print(f"       {HONEST} honest devices without the flood: {lines_of(quiet)}")
    print(f"       {HONEST} honest devices beside the flood:  {lines_of(loud)}")
    print("       the flood:", json.dumps(counts, sort_keys=True))
    ledger = hub.call("GET", f"ledger?{EVER}")
    own = ledger["devices"]["mad"]
    print("       of the mad device:", json.dumps(own))
    return hub, fleet, (counts, seconds), (ledger, own), fast


def floods():
    print("   -- without a limit, for comparison")
    flood("values_per_s = 0")[0].stop()
    print("   -- with 200 values a second and 1,000 at once")
    hub, fleet, (counts, seconds), (ledger, own), fast = flood("values_per_s = 200\nburst = 1000")
    refused = own["rejected"].get("rate_limited", 0)
    check("it was refused more than once, by HTTP", counts.get("http 429", 0) > 10, counts.get("http 429"))
    check("every 429 says when to come again", counts["429 without Retry-After"] == 0)
    check("CoAP says 4.29 or takes it, and nothing else", not counts.get("coap 5.03"), counts)
    most = 1000 + 200 * (seconds + 5) + 20 * 50
    check("what was taken of it is its burst and its rate", own["stored"] <= most, f"{own['stored']} of {most:.0f}")
    check("refused values are in the ledger", refused >= counts.get("http 429", 0) * 50, refused)
    for name, row in [("total", ledger["total"]), *ledger["devices"].items()]:
        whole = row["stored"] + row["duplicate"] + sum(row["rejected"].values())
        if row["received"] != whole:
            check(f"received = stored + duplicate + rejected of {name}", False, row)
    check("received = stored + duplicate + rejected of everybody", True)
    heard = sum(ledger["devices"][f"h{n}"]["stored"] for n in range(HONEST))
    check("every honest message is stored", heard == fleet.sent, f"{heard} of {fleet.sent}")
    check("health names the device", [one["device"] for one in fast["devices"]] == ["mad"], fast)
    told = hub.call("GET", "events?after=0&types=cityhub.rate.exceeded")["items"]
    check("the feed tells of it once", [one["subject"] for one in told] == ["mad"], len(told))
    logged = [line for line in hub.log if "faster than it may" in line]
    check("the log tells of it once", len(logged) == 1, len(logged))
    check("the hub stops in order", hub.stop() == 0)


def backlog():
    """A day of readings a minute of 50 sensors behind one gateway, by the defaults."""
    hub = Hub(PROGRAM)
    hub.call("PUT", "devices", [{"id": "gw", "kind": "dust", "secret": "s-gw"}])
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="gw")
    client.username_pw_set("gw", "s-gw")
    client.max_inflight_messages_set(100)
    client.connect("127.0.0.1", hub.mqtt)
    client.loop_start()
    now, began = int(time.time() * 1000), time.time()
    sent = []
    for hour in range(144):
        body = [{"ts": now - 86_400_000 + (hour * 600 + n) * 1000, "values": {"pm10_ugm3": n}} for n in range(600)]
        sent.append(client.publish("devices/gw/telemetry", json.dumps(body), 1))
    [one.wait_for_publish(60) for one in sent]
    seconds = time.time() - began
    client.disconnect()
    client.loop_stop()
    row = hub.call("GET", f"ledger?{EVER}")["devices"]["gw"]
    fast = hub.call("GET", "health")["intake"]["too_fast"]["count"]
    check("a day of a value a second is taken at full speed", row["stored"] == 86_400 and not fast, f"{row} in {seconds:.1f} s")
    hub.stop()


def curl(hub, path, *more):
    port = hub.http
    told = subprocess.run(["curl", "-s", "-i", f"http://127.0.0.1:{port}{path}", *more], capture_output=True, text=True).stdout
    head, _, body = told.partition("\n\n")
    return int(head.split(" ")[1]) if head else 0, head.lower(), body


def is_closed(port, hello=b""):
    one = socket.create_connection(("127.0.0.1", port))
    one.settimeout(2)
    try:
        one.sendall(hello)
        return one.recv(1) == b"", one
    except TimeoutError:
        return False, one
    except OSError:
        return True, one


def addresses():
    hub = Hub(PROGRAM, more="""
[limits]
requests_burst = 50
[limits.addresses."127.0.0.0/8"]
connections = 5
requests_per_s = 10
""")
    bearer = ("-H", f"Authorization: Bearer {TOKEN}")
    told = [curl(hub, "/api/v1/health", *bearer) for _ in range(120)]
    late = [one for one in told if one[0] == 429]
    check("an address that asks too often is answered 429", len(late) > 10 and told[0][0] == 200, len(late))
    check("with Retry-After and a problem", all("\nretry-after: " in head and "problem+json" in head and "nosniff" in head for _, head, _ in late))
    for name, port in (("MQTT", hub.mqtt), ("ingest", hub.ingest), ("console", hub.http)):
        kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        time.sleep(0.3)
        closed, one = is_closed(port)
        check(f"the sixth connection of an address to {name} is closed", closed)
        [other.close() for other in (*kept, one)]
    hub.stop()


def strangers():
    hub = Hub(PROGRAM, more="""
[log]
level = "trace"
[sinks.platform]
kind = "webhook"
url = "http://127.0.0.1:9/"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
""")
    text = open(f"{hub.folder}/hub.toml").read()
    text = text.replace("[auth.tokens", 'trusted_proxies = "127.0.0.1"\nhosts = "hub.city.example"\n[auth.tokens', 1)
    open(f"{hub.folder}/hub.toml", "w").write(text)
    hub.stop()
    hub.start()
    bearer = ("-H", f"Authorization: Bearer {TOKEN}")
    check("a hub with a name is asked by it", curl(hub, "/healthz", "-H", "Host: hub.city.example")[0] == 200)
    check("and by no other", curl(hub, "/healthz", "-H", "Host: evil.example")[0] == 421)
    secrets = [TOKEN, "s-thing-93c1", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "rain over the bay 7", "guess of a stranger"]
    hub.call("PUT", "devices", [{"id": "thing", "kind": "smoke", "secret": "s-thing-93c1"}])
    subprocess.run(["mosquitto_pub", "-p", str(hub.mqtt), "-q", "1", "-u", "thing", "-P", "s-thing-93c1", "-t", "devices/thing/telemetry", "-m", '{"fault":0}'])
    subprocess.run(["mosquitto_pub", "-p", str(hub.mqtt), "-q", "1", "-u", "thing", "-P", "guess of a stranger", "-t", "devices/thing/telemetry", "-m", "1"], stderr=subprocess.DEVNULL)
    hub.call("POST", "users", {"name": "li", "role": "officer", "password": "rain over the bay 7", "must_change_password": False})
    made = hub.call("POST", "tokens", {"name": "night", "role": "viewer", "expires_at": "2099-01-01T00:00:00Z"})
    secrets.append(made["token"])
    sign = lambda password: curl(hub, "/api/v1/session", "-H", "Content-Type: application/json", "-H", "X-Forwarded-For: 203.0.113.66, 198.51.100.7", "-d", json.dumps({"user": "li", "password": password}))
    check("a wrong password lets nobody in", sign("guess of a stranger")[0] == 401)
    code, head, _ = sign("rain over the bay 7")
    check("a right one does", code == 200)
    secrets.append(head.split("cityhub_session=")[1].split(";")[0])
    answers = [curl(hub, f"/api/v1/{path}", *bearer) for path in ("health", "devices", "devices/thing", "users", "tokens", "subscriptions", "audit?limit=500", "config/public", "devices/unclaimed", "ledger")]
    answers.append(curl(hub, "/metrics", *bearer))
    told = answers[6][2]
    check("the trail has whom the proxy named, not whom the client claimed", "198.51.100.7" in told and "203.0.113.66" not in told)
    shown = [secret for secret in secrets if any(secret in body for _, _, body in answers)]
    check("no answer of the API has a secret", not shown and all(code == 200 and body for code, _, body in answers), shown or [code for code, *_ in answers])
    time.sleep(1)
    logged = [secret for secret in secrets if any(secret in line for line in hub.log)]
    check("no line of the log at `trace` has a secret", not logged and len(hub.log) > 5, f"{len(hub.log)} lines, {len(secrets)} secrets {logged}")
    page = curl(hub, "/")[1]
    wanted = ("content-security-policy: default-src 'none'", "frame-ancestors 'none'", "x-content-type-options: nosniff", "referrer-policy: same-origin", "permissions-policy: camera=()", "x-frame-options: deny")
    missing = [field for field in wanted if field not in page]
    check("the console's page is protected", not missing and "unsafe" not in page, missing)
    api = curl(hub, "/api/v1/health", *bearer, "-H", "Origin: http://evil.example")[1]
    check("data is not to be stored, and no other site reads it", "cache-control: no-store" in api and "access-control-allow" not in api)
    hub.stop()


for part in (floods, backlog, addresses, strangers):
    print(f"== {part.__name__}")
    part()
finish()
