#!/usr/bin/env python3
"""Renews the certificate of a real hub again and again while devices report and a console listens, with clients of others.

usage: tls_rotation.py PATH_OF_CITYHUB [ROTATIONS]

Needs openssl, curl, mosquitto-clients (Debian) and paho-mqtt (pip). Connections of MQTT and HTTPS and the console's stream
stay open through all renewals; other clients come anew all the time. Every acknowledged reading must be stored once, none
may go unacknowledged, and whoever comes after a renewal must be shown the new serial number. One renewal in three is half
written or has another key: it must be refused, and be put right. Ends with a line that counts what held.
"""

import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import threading
import time

import paho.mqtt.client as paho
import hub as proof
from hub import TOKEN, Hub, check, finish, until

ROTATIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 12
MQTT_DEVICES, HTTPS_DEVICES = 8, 4
START_MS = int(time.time() * 1000) - 3_600_000


def openssl(*args, cwd, stdin=b""):
    return subprocess.run(["openssl", *args], cwd=cwd, input=stdin, capture_output=True, timeout=30)


class Authority:
    """Makes certificates in a folder; each has the serial number that it was asked for."""

    def __init__(self, folder):
        self.folder = folder
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out",
                "ca.pem", "-days", "3650", "-subj", "/CN=city", "-addext", "keyUsage=critical,keyCertSign,cRLSign", cwd=folder)

    def make(self, name, serial, common_name, kind="ec"):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["-newkey", "rsa:2048"]
        openssl("req", *key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={common_name}", cwd=self.folder)
        text = b"subjectAltName=DNS:localhost,IP:127.0.0.1\n"
        (pathlib.Path(self.folder) / "ext").write_bytes(text)
        done = openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", hex(serial),
                       "-days", "365", "-extfile", "ext", "-out", f"{name}.pem", cwd=self.folder)
        assert done.returncode == 0, done.stderr


class TlsHub(Hub):
    """A hub whose console, API and devices are behind TLS."""

    def __init__(self, program):
        self.authority = None
        mqtt = 'tls_listen = "127.0.0.1:{}"\ntls_cert = "hub.pem"\ntls_key = "hub.key"\nclient_ca = "ca.pem"\nclient_auth = "optional"'
        more = ('[drivers.ingest.tls]\ncert = "hub.pem"\nkey = "hub.key"\nclient_ca = "ca.pem"\nclient_auth = "optional"\n'
                '[http.tls]\ncert = "hub.pem"\nkey = "hub.key"\n[certificates]\nlook_every_s = 1\n')
        self.mqtts = proof.free_port()
        super().__init__(program, more, mqtt.format(self.mqtts))

    def start(self):
        if self.authority is None:
            self.authority = Authority(self.folder)
            self.authority.make("hub", 0x1000, "hub")
        self.trust = ssl.create_default_context(cafile=f"{self.folder}/ca.pem")
        super().start()

    def call(self, method, path, body=None):
        connection = http.client.HTTPSConnection("localhost", self.http, timeout=60, context=self.trust)
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return json.loads(text or b"null")

    def serial(self, port):
        """The serial number that a new handshake shows."""
        context = ssl.create_default_context(cafile=f"{self.folder}/ca.pem")
        import socket
        with socket.create_connection(("localhost", port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as stream:
                return int(stream.getpeercert()["serialNumber"], 16)


class Mqtt(threading.Thread):
    """A device that reports over one connection, each reading when the last is acknowledged."""

    def __init__(self, hub, name):
        super().__init__(daemon=True)
        self.name_, self.acked, self.lost, self.ended = name, [], 0, False
        self.client = paho.Client(client_id=name, clean_session=True)
        self.client.username_pw_set(name, f"secret-of-{name}")
        self.client.tls_set(ca_certs=f"{hub.folder}/ca.pem")
        self.client.on_disconnect = self.gone
        self.client.connect("localhost", hub.mqtts, keepalive=30)
        self.client.loop_start()

    def gone(self, client, userdata, code):
        self.lost += not self.ended

    def run(self):
        n = 0
        while not self.ended:
            n += 1
            reading = {"ts": START_MS + n, "values": {"battery_pct": n % 100}}
            sent = self.client.publish(f"devices/{self.name_}/telemetry", json.dumps(reading), qos=1)
            try:
                sent.wait_for_publish(20)
            except (RuntimeError, ValueError):
                pass
            if not sent.is_published():
                self.lost += 1
                return
            self.acked.append(n)
        self.client.disconnect()


class Https(threading.Thread):
    """A device that reports over one connection that is kept."""

    def __init__(self, hub, name):
        super().__init__(daemon=True)
        self.name_, self.acked, self.lost, self.ended = name, [], 0, False
        self.connection = http.client.HTTPSConnection("localhost", hub.ingest, timeout=20, context=hub.trust)
        self.connection.connect()
        self.socket = self.connection.sock

    def run(self):
        n = 0
        headers = {"authorization": f"Bearer secret-of-{self.name_}", "content-type": "application/json"}
        while not self.ended:
            n += 1
            reading = {"ts": START_MS + n, "values": {"battery_pct": n % 100}}
            try:
                self.connection.request("POST", f"/devices/{self.name_}/telemetry", json.dumps(reading), headers)
                reply = self.connection.getresponse()
                reply.read()
            except (OSError, http.client.HTTPException):
                self.lost += 1
                return
            # The library would dial again by itself: another socket is a lost connection.
            if reply.status != 204 or self.connection.sock is not self.socket:
                self.lost += 1
                return
            self.acked.append(n)


class Stream(threading.Thread):
    """A console's stream of events."""

    def __init__(self, hub):
        super().__init__(daemon=True)
        self.beats, self.lost, self.ended = 0, 0, False
        self.connection = http.client.HTTPSConnection("localhost", hub.http, timeout=60, context=hub.trust)
        self.connection.request("GET", "/api/v1/stream", headers={"authorization": f"Bearer {TOKEN}"})
        self.reply = self.connection.getresponse()

    def run(self):
        while not self.ended:
            line = self.reply.readline()
            if not line:
                self.lost += not self.ended
                return
            self.beats += line.startswith(b"event: hb")


class Comers(threading.Thread):
    """Clients that come anew all the time, each with a handshake of its own: curl and mosquitto_pub."""

    def __init__(self, hub):
        super().__init__(daemon=True)
        self.hub, self.acked, self.lost, self.ended, self.said = hub, [], 0, False, []

    def run(self):
        n = 0
        while not self.ended:
            n += 1
            body = json.dumps({"ts": START_MS + n, "values": {"battery_pct": n % 100}})
            if n % 2:
                args = ["curl", "-sS", "--cacert", "ca.pem", "--cert", "comer.pem", "--key", "comer.key", "-o", "/dev/null", "-w",
                        "%{http_code}", "-d", body, f"https://localhost:{self.hub.ingest}/devices/comer/telemetry"]
            else:
                args = ["mosquitto_pub", "-h", "localhost", "-p", str(self.hub.mqtts), "--cafile", "ca.pem", "--cert", "comer.pem",
                        "--key", "comer.key", "-q", "1", "-t", "devices/comer/telemetry", "-m", body]
            done = subprocess.run(args, cwd=self.hub.folder, capture_output=True, text=True, timeout=60)
            if done.returncode or (n % 2 and done.stdout != "204"):
                self.lost += 1
                self.said.append((args[0], done.stdout, done.stderr))
            else:
                self.acked.append(n)


def put(folder, name, content):
    """Exchanges a file as renewal tools do: written beside it, then renamed."""
    beside = pathlib.Path(folder) / f"{name}.new"
    beside.write_bytes(content)
    os.replace(beside, pathlib.Path(folder) / name)


def rotate(hub, n):
    """Lays down another certificate, and tells how: by looks alone, by SIGHUP or by the API."""
    hub.authority.make("next", 0x1000 + n, "hub", "rsa" if n % 4 == 0 else "ec")
    folder = pathlib.Path(hub.folder)
    cert, key = (folder / "next.pem").read_bytes(), (folder / "next.key").read_bytes()
    if n % 3 == 0:
        # Half of a certificate, with the key of the one before: nothing may come of it.
        put(folder, "hub.pem", cert[: len(cert) // 2])
        refused = hub.call("POST", "rules/reload", {})["certificates"]
        check(f"renewal {n}: half a certificate is refused", refused["refused"] == 3, refused)
        shown = {hub.serial(port) for port in (hub.http, hub.ingest, hub.mqtts)}
        check(f"renewal {n}: the old one is still shown", shown == {0x1000 + n - 1}, [hex(s) for s in shown])
    put(folder, "hub.key", key)
    put(folder, "hub.pem", cert)
    if n % 3 == 1:
        hub.process.send_signal(signal.SIGHUP)
    elif n % 3 == 2:
        hub.call("POST", "rules/reload", {})
    ports = (hub.http, hub.ingest, hub.mqtts)
    until(f"renewal {n}: new handshakes see serial {0x1000 + n:x}",
          lambda: all(hub.serial(port) == 0x1000 + n for port in ports))


def versions(hub):
    """What openssl says of versions and ciphers."""
    at = f"localhost:{hub.http}"

    def offer(*more):
        args = ("s_client", "-connect", at, "-CAfile", "ca.pem", "-verify_return_error", *more)
        done = openssl(*args, cwd=hub.folder)
        return done.returncode == 0 and b"Verify return code: 0 (ok)" in done.stdout, done.stdout.decode(errors="replace")

    for name in ("tls1_2", "tls1_3"):
        good, text = offer(f"-{name}", "-alpn", "h2,http/1.1")
        line = [line.strip() for line in text.splitlines() if "Cipher is" in line or "ALPN" in line]
        check(f"openssl speaks {name} with ALPN http/1.1", good and "ALPN protocol: http/1.1" in text, line)
    for name in ("tls1", "tls1_1"):
        good, _ = offer(f"-{name}", "-cipher", "DEFAULT@SECLEVEL=0")
        check(f"{name} is not spoken", not good)
    for weak in ("AES128-SHA", "ECDHE-RSA-AES128-SHA", "DES-CBC3-SHA"):
        good, _ = offer("-tls1_2", "-cipher", f"{weak}@SECLEVEL=0")
        check(f"{weak} is not spoken", not good)
    plain = subprocess.run(["curl", "-sS", "-w", "%{http_code}", f"http://{at}/"], capture_output=True, text=True, timeout=30)
    check("HTTP at the port of HTTPS is told so", plain.stdout.endswith("400") and "https" in plain.stdout, plain.stdout)


def main():
    hub = TlsHub(sys.argv[1])
    names = [f"m{n}" for n in range(MQTT_DEVICES)] + [f"h{n}" for n in range(HTTPS_DEVICES)]
    hub.register([{"id": name, "kind": "smoke", "secret": f"secret-of-{name}"} for name in names] + [{"id": "comer", "kind": "smoke"}])
    hub.authority.make("comer", 0x77, "comer")
    versions(hub)

    devices = [Mqtt(hub, name) for name in names[:MQTT_DEVICES]] + [Https(hub, name) for name in names[MQTT_DEVICES:]]
    stream, comers = Stream(hub), Comers(hub)
    for one in [*devices, stream, comers]:
        one.start()
    began = time.time()
    for n in range(1, ROTATIONS + 1):
        rotate(hub, n)
    time.sleep(2)
    took = time.time() - began
    for one in [*devices, comers]:
        one.ended = True
    for one in [*devices, comers]:
        one.join(60)
    beats, stream.ended = stream.beats, True

    acked = sum(len(one.acked) for one in devices) + len(comers.acked)
    lost = sum(one.lost for one in devices)
    check("no connection was lost and every reading was acknowledged", lost == 0 and acked > 0, f"{acked} readings in {took:.0f} s, {lost} lost")
    check("nobody who came anew was turned away", comers.lost == 0, comers.said[:3] or f"{len(comers.acked)} came")
    check("the console's stream went on", stream.lost == 0 and beats > 0, f"{beats} heartbeats")
    stored = {name: hub.counts(name).get("stored") for name in [*names, "comer"]}
    wanted = {one.name_: len(one.acked) for one in devices} | {"comer": len(comers.acked)}
    check("the ledger has what was acknowledged, each once", stored == wanted, f"{sum(wanted.values())} readings")
    certificates = hub.call("GET", "health")["certificates"]
    check("health shows the last certificate", all(c["serial"] == f"{0x1000 + ROTATIONS:X}" and c["state"] == "valid" and not c["refused"]
                                                  for c in certificates.values()), sorted(certificates))
    records = [r for r in hub.call("GET", "audit?limit=500")["items"] if r["action"] == "reload_certificates"]
    check("every renewal stands in the audit trail", len(records) >= ROTATIONS, len(records))
    finish(hub)


main()
