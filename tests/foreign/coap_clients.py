#!/usr/bin/env python3
"""Speaks CoAP with a real hub through clients of others: libcoap's coap-client, plain and with DTLS, and aiocoap.

usage: coap_clients.py PATH_OF_CITYHUB

Needs libcoap3-bin (Debian) and aiocoap 0.4 with cbor2 (pip); without aiocoap its steps are left out. Each step
prints what was asked and what came; the last line counts what held.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

TOKEN = "admin-0123456789abcdef0123456789abcdef"
AT = 1_772_323_200_000  # 2026-03-01T00:00:00Z
SECRET = "secret-of-gas-1"
held, failed = [], []


def check(step: str, got, want) -> None:
    (held if got == want else failed).append(step)
    print(f"{'ok  ' if got == want else 'FAIL'} {step}: {got}" + ("" if got == want else f", not {want}"))


class Hub:
    def __init__(self, program: str, folder: str) -> None:
        config = f"""
data_dir = "data"
[city]
name = "示范市"
code = "350200"
time_zone = "Asia/Shanghai"
[http]
listen = "127.0.0.1:0"
[auth.tokens.admin]
token = "{TOKEN}"
role = "admin"
[drivers.coap]
kind = "coap"
listen = "127.0.0.1:0"
[drivers.coap.dtls]
listen = "127.0.0.1:0"
keys = "keys.csv"
"""
        with open(f"{folder}/hub.toml", "w", encoding="utf-8") as file:
            file.write(config)
        with open(f"{folder}/keys.csv", "w", encoding="utf-8") as file:
            file.write(f"id,secret\ngas-1,{SECRET}\n")
        self.process = subprocess.Popen(
            [program, "run", "--config", "hub.toml"], cwd=folder, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            if line.startswith("ready "):
                break
        self.at = dict(re.findall(r"(\S+)=(\S+)", line))
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        devices = [{"id": "gas-1", "kind": "gas_pressure", "secret": SECRET}]
        self.api("PUT", "/api/v1/devices", devices)

    def api(self, method: str, path: str, body=None):
        request = urllib.request.Request(
            f"http://{self.at['http']}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=40) as reply:
            return json.load(reply)

    def points(self, since_ms: int) -> list:
        path = f"/api/v1/devices/gas-1/readings?metric=pressure_kpa&from={since_ms}&to={since_ms + 50_000}"
        return [value for _, value, _ in self.api("GET", path)["points"]]

    def order(self, seconds: int):
        """Orders in a thread, since the answer comes by way of the device."""
        box = {}

        def ask() -> None:
            body = {"command": "set_interval", "args": {"seconds": seconds}}
            try:
                box["answer"] = self.api("POST", "/api/v1/devices/gas-1/commands", body)["answer"]
            except urllib.error.HTTPError as error:
                box["answer"] = json.load(error)["detail"]

        thread = threading.Thread(target=ask)
        thread.start()
        return thread, box


def reading(at_ms: int, kpa: float) -> bytes:
    return json.dumps({"ts": at_ms, "values": {"pressure_kpa": kpa}}).encode()


def senml_cbor(at_ms: int, kpa: float) -> bytes:
    import struct

    head = b"\x81\xa3\x22\x1a" + struct.pack(">I", at_ms // 1000)
    return head + b"\x00\x6cpressure_kpa\x02\xfb" + struct.pack(">d", kpa)


def cbor(at_ms: int, kpa: float) -> bytes:
    import struct

    head = b"\xa2\x62ts\x1b" + struct.pack(">Q", at_ms)
    return head + b"\x66values\xa1\x6cpressure_kpa\xfb" + struct.pack(">d", kpa)


def libcoap(hub: Hub, folder: str) -> None:
    plain = f"coap://{hub.at['coap.listen']}"
    url = f"{plain}/devices/gas-1/telemetry?k={SECRET}"

    def run(*args: str, program: str = "coap-client-notls") -> list:
        """Gives the codes of all answers."""
        said = subprocess.run(
            [program, "-v", "7", "-B", "20", *args], capture_output=True, text=True, timeout=60
        )
        return re.findall(r"t:(ACK|NON|CON|RST) c:([2-5]\.\d\d)", said.stdout + said.stderr)

    def post(form: str, payload: bytes, *more: str, to: str = url) -> list:
        with open(f"{folder}/payload", "wb") as file:
            file.write(payload)
        return run("-m", "post", "-t", form, "-f", f"{folder}/payload", *more, to)

    done = [("ACK", "2.04")]
    check("libcoap JSON, CON", post("50", reading(AT, 300)), done)
    check("libcoap JSON, NON", post("50", reading(AT + 1000, 301), "-N"), [("NON", "2.04")])
    check("libcoap CBOR", post("60", cbor(AT + 2000, 302)), done)
    senml = json.dumps([{"bt": AT // 1000 + 3, "n": "pressure_kpa", "v": 303}]).encode()
    check("libcoap SenML JSON", post("110", senml), done)
    check("libcoap SenML CBOR", post("112", senml_cbor(AT + 4000, 304)), done)
    for at, size in ((5, 64), (6, 256), (7, 1024)):
        body = reading(AT + at * 1000, 300 + at)
        codes = post("50", body + b" " * (20 * 1024 - len(body)), "-b", str(size))
        check(f"libcoap 20 KiB in blocks of {size}", (codes[-1], len(codes)), (done[0], 20 * 1024 // size))
    check("libcoap stored", hub.points(AT), [float(300 + n) for n in range(8)])
    wrong = f"{plain}/devices/gas-1/telemetry?k=wrong"
    check("libcoap wrong secret", post("50", b"{}", to=wrong), [("ACK", "4.01")])
    critical = post("50", reading(AT, 1), "-O", "65001,x")
    check("libcoap unknown critical option", critical, [("ACK", "4.02")])
    quiet = post("50", reading(AT, 1), "-N", "-B", "2", "-O", "65001,x")
    check("libcoap unknown critical option, NON", quiet, [])
    check("libcoap unknown format", post("41", b"<a/>"), [("ACK", "4.15")])
    core = run(f"{plain}/.well-known/core")
    check("libcoap .well-known/core", set(core), {("ACK", "2.05")})
    small = run("-b", "16", f"{plain}/.well-known/core")
    # The client shows the last block twice: as it came, and as the end of the whole.
    check("libcoap .well-known/core in blocks of 16", (set(small), len(small)), ({("ACK", "2.05")}, 6))

    commands = f"{plain}/devices/gas-1/commands"
    observer = subprocess.Popen(
        ["coap-client-notls", "-w", "-s", "20", f"{commands}?k={SECRET}"], stdout=subprocess.PIPE, text=True
    )
    check("libcoap observes", observer.stdout.readline().strip(), "{}")
    thread, box = hub.order(60)
    told = json.loads(observer.stdout.readline())
    check("libcoap is told", (told["command"], told["args"]), ("set_interval", {"seconds": 60}))
    post("50", b'{"interval_s":60}', to=f"{commands}/{told['id']}?k={SECRET}")
    thread.join()
    check("libcoap answers", box.get("answer"), {"interval_s": 60})
    observer.terminate()

    secured = f"coaps://{hub.at['coap.dtls_listen']}/devices/gas-1/telemetry"
    dtls = {"program": "coap-client-openssl"}
    body = reading(AT + 8000, 308).decode()
    args = ("-m", "post", "-t", "50", "-e", body, secured)
    check("libcoap DTLS-PSK", run("-u", "gas-1", "-k", SECRET, *args, **dtls), done)
    check("libcoap DTLS, wrong key", run("-u", "gas-1", "-k", "no", "-B", "3", *args, **dtls), [])
    check("libcoap DTLS, unknown identity", run("-u", "x", "-k", "no", "-B", "3", *args, **dtls), [])


async def aiocoap_steps(hub: Hub) -> None:
    import aiocoap
    from aiocoap import GET, POST, Message, Reliable, Unreliable

    client = await aiocoap.Context.create_client_context()
    plain = f"coap://{hub.at['coap.listen']}"
    url = f"{plain}/devices/gas-1/telemetry?k={SECRET}"
    start = AT + 100_000

    async def ask(step: str, want: str, **parts) -> bytes:
        parts = {"code": POST, "uri": url, "transport_tuning": Reliable(), **parts}
        answer = await asyncio.wait_for(client.request(Message(**parts)).response, 30)
        check(f"aiocoap {step}", answer.code.dotted, want)
        return answer.payload

    await ask("JSON, CON", "2.04", content_format=50, payload=reading(start, 300))
    await ask("JSON, NON", "2.04", content_format=50, payload=reading(start + 1000, 301), transport_tuning=Unreliable())
    await ask("CBOR", "2.04", content_format=60, payload=cbor(start + 2000, 302))
    senml = json.dumps([{"bt": start // 1000 + 3, "n": "pressure_kpa", "v": 303}]).encode()
    await ask("SenML JSON", "2.04", content_format=110, payload=senml)
    await ask("SenML CBOR", "2.04", content_format=112, payload=senml_cbor(start + 4000, 304))
    long = reading(start + 5000, 305)
    long += b" " * (20 * 1024 - len(long))
    await ask("20 KiB in blocks", "2.04", content_format=50, payload=long)
    await ask("no content format", "2.04", payload=reading(start + 6000, 306))
    check("aiocoap stored", hub.points(start), [float(300 + n) for n in range(7)])
    await ask("wrong secret", "4.01", uri=f"{plain}/devices/gas-1/telemetry?k=no", payload=b"{}")
    await ask("unknown device", "4.01", uri=f"{plain}/devices/nobody/telemetry?k=no", payload=b"{}")
    await ask("unreadable", "4.00", content_format=50, payload=b"{")
    await ask("no such resource", "4.04", uri=f"{plain}/up", payload=b"{}")
    await ask("wrong method", "4.05", code=GET)
    await ask("too large", "4.13", content_format=50, payload=b" " * 70_000)
    core = await ask(".well-known/core", "2.05", code=GET, uri=f"{plain}/.well-known/core")
    check("aiocoap links", core.count(b"</devices/"), 2)

    commands = f"{plain}/devices/gas-1/commands"
    observing = client.request(Message(code=GET, uri=f"{commands}?k={SECRET}", observe=0))
    first = await asyncio.wait_for(observing.response, 30)
    check("aiocoap observes", (first.payload, first.opt.observe is not None), (b"{}", True))
    notices = aiter(observing.observation)
    thread, box = hub.order(30)
    notice = json.loads((await asyncio.wait_for(anext(notices), 30)).payload)
    check("aiocoap is told", notice["args"], {"seconds": 30})
    answer = f"{commands}/{notice['id']}?k={SECRET}"
    await ask("answers", "2.04", uri=answer, content_format=50, payload=b'{"error":"too often"}')
    await asyncio.to_thread(thread.join)
    check("aiocoap refuses", box.get("answer"), "the device refused: too often")
    observing.observation.cancel()
    await client.shutdown()


def ping(hub: Hub) -> None:
    import socket

    host, port = hub.at["coap.listen"].rsplit(":", 1)
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.settimeout(5)
    line.connect((host, int(port)))
    line.send(b"\x40\x00\xbe\xef")
    check("ping", line.recv(100).hex(), "7000beef")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(os.path.abspath(sys.argv[1]), folder)
        try:
            ping(hub)
            libcoap(hub, folder)
            try:
                import aiocoap  # noqa: F401
            except ImportError:
                print("left out: aiocoap is not installed")
            else:
                asyncio.run(aiocoap_steps(hub))
            ledger = hub.api("GET", "/api/v1/ledger")["drivers"]["coap"]
            rejected = sum(ledger["rejected"].values())
            balance = ledger["received"] == ledger["stored"] + ledger["duplicate"] + rejected
            check("the ledger balances", balance, True)
            print(json.dumps(ledger))
        finally:
            hub.process.send_signal(signal.SIGTERM)
            hub.process.wait(30)
    print(f"{len(held)} held, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"{time.monotonic() - started:.1f} s")
    sys.exit(code)
