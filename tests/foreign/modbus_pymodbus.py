#!/usr/bin/env python3
"""Polls pymodbus with a real hub: over TCP, on a serial line, and as a DTU that dials in.

usage: modbus_pymodbus.py PATH_OF_CITYHUB

Needs pymodbus 3.16 and pyserial (pip), mbpoll and socat (Debian). What mbpoll reads from the same
server is printed beside what the hub stored. Ends with a line that counts what held.
"""

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty
import urllib.request

WEATHER = [125, 1, 3, 135, 612, 65506, 634, 78, 132, 1013, 0, 1800, 18, 5]
TOKEN = "admin-0123456789abcdef0123456789abcdef"
held, failed = [], []


def serve(how, where, noise, short):
    """Unit 1 a pressure transmitter, 2 a noise meter, 3 a weather station, 4 without its registers."""
    from pymodbus.framer import FramerType
    from pymodbus.server import ModbusSerialServer, ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    def block(at, values):
        return [SimData(at, values=values, datatype=DataType.REGISTERS)]

    units = [
        SimDevice(1, block(2, [1, 1, 3125])),
        SimDevice(2, block(0, [int(noise)])),
        SimDevice(3, block(500, WEATHER)),
        SimDevice(4, block(9000, [1])),
    ]

    def trace(sending, data):
        return data[:-3] if sending and short == "short" and len(data) > 3 else data

    extra = {"trace_packet": trace, "ignore_missing_devices": True}

    async def run():
        if how == "serial":
            extra.update(framer=FramerType.RTU, port=where, baudrate=19200, parity="N")
            server = ModbusSerialServer(units, **extra)
        else:
            extra["framer"] = FramerType.RTU if how == "rtu-tcp" else FramerType.SOCKET
            server = ModbusTcpServer(units, address=("127.0.0.1", int(where)), **extra)
        await server.serve_forever()

    asyncio.run(run())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(how, where, noise=580, short="whole"):
    args = [sys.executable, __file__, "--serve", how, str(where), str(noise), short]
    process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while how != "serial":
        try:
            socket.create_connection(("127.0.0.1", int(where)), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    return process


def pump(read, write):
    try:
        while data := read():
            write(data)
    except OSError:
        pass


def dial(hub, server, registration):
    """A DTU: says who it is, then carries bytes between the hub and an RTU server, with heartbeats."""
    up, down = socket.create_connection(hub), socket.create_connection(("127.0.0.1", server))
    up.sendall(registration)

    def answer(data):
        # The worst that DTUs do: the registration before, a heartbeat in the middle.
        up.sendall(registration + data[:4] + b"www.usr.cn" + data[4:])

    for pair in [(lambda: up.recv(512), down.sendall), (lambda: down.recv(512), answer)]:
        threading.Thread(target=pump, args=pair, daemon=True).start()
    return up


class Hub:
    def __init__(self, program, folder, config):
        open(f"{folder}/hub.toml", "w").write(config)
        args = [program, "run", "--config", "hub.toml"]
        self.process = subprocess.Popen(args, cwd=folder, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "ready" in line.split():
                break
        self.addresses = dict(w.split("=", 1) for w in line.split() if "=" in w)
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://{self.addresses['http']}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")

    def last(self, device, metric):
        span = "from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z"
        points = self.call("GET", f"devices/{device}/readings?metric={metric}&{span}")["points"]
        return points[-1][1] if points else None

    def rejected(self, device):
        rows = json.dumps(self.call("GET", "ledger"))
        return {} if device not in rows else find(json.loads(rows), device)["rejected"]


def find(rows, device):
    rows = rows["devices"]
    return rows[device] if isinstance(rows, dict) else next(r for r in rows if device in r.values())


def until(what, question, patience=120):
    deadline = time.time() + patience
    seen = None
    while time.time() < deadline:
        seen = question()
        if seen:
            held.append(what)
            print(f"held   {what}: {seen}", flush=True)
            return
        time.sleep(0.2)
    failed.append(what)
    print(f"FAILED {what}", flush=True)


def mbpoll(args):
    out = subprocess.run(["mbpoll", "-1", "-q", "-0", *args], capture_output=True, text=True)
    lines = [l.split() for l in out.stdout.splitlines() if l.startswith("[")]
    return [int(words[1]) for words in lines] or out.stderr.strip()


def main(program):
    program, folder = os.path.abspath(program), tempfile.mkdtemp()
    tcp, rtu_tcp, short = free_port(), free_port(), free_port()
    master, slave = pty.openpty()
    other_master, other_slave = pty.openpty()
    for fd in (master, slave, other_master, other_slave):
        tty.setraw(fd)
    # Two pseudo-terminals, wired back to back: the hub's end and pymodbus' end.
    wires = [(master, other_master), (other_master, master)]
    for a, b in wires:
        args = (lambda a=a: os.read(a, 512), lambda data, b=b: os.write(b, data))
        threading.Thread(target=pump, args=args, daemon=True).start()
    servers = [
        start("tcp", tcp),
        start("rtu-tcp", rtu_tcp, 470),
        start("serial", os.ttyname(other_slave), 490),
        start("tcp", short, 580, "short"),
    ]
    line = "kind = \"modbus\"\nmap = \"rs485-noise\"\n"
    config = f"""data_dir = "data"
[city]
name = "proof"
code = "350200"
time_zone = "Asia/Shanghai"
[http]
listen = "127.0.0.1:0"
[auth.tokens.admin]
token = "{TOKEN}"
role = "admin"
[drivers.plc]
{line}connect = "tcp://127.0.0.1:{tcp}"
[drivers.short]
{line}connect = "tcp://127.0.0.1:{short}"
[drivers.bus]
{line}connect = "rtu://{os.ttyname(slave)}?baud=19200"
[drivers.dtus]
{line}connect = "rtu+tcp-listen://127.0.0.1:0"
period_s = 1
timeout_ms = 2000
[profiles.pressure]
codec = "modbus"
map = "pressure-i16"
[profiles.weather]
codec = "modbus"
map = "rs-fsxcs"
"""
    hub = Hub(program, folder, config)

    def device(id, kind, address, **more):
        return {"id": id, "kind": kind, "identities": {"modbus": address}, **more}

    hub.call("PUT", "devices", [
        device("gas", "gas_pressure", "plc/1", profile="pressure"),
        device("noise", "noise", "plc/2"),
        device("dust", "dust", "plc/3", profile="weather"),
        device("refused", "noise", "plc/4"),
        device("absent", "noise", "plc/9"),
        device("serial", "noise", "bus/2"),
        device("cut", "noise", "short/2"),
        {"id": "dtu", "kind": "gateway", "identities": {"dtu": "ZC1000"}},
        device("mobile", "noise", "dtu/2", parent="dtu"),
    ])
    dialled = dial(tuple(hub.addresses["dtus.connect"].rsplit(":", 1)), rtu_tcp, b"ZC1000")

    until("TCP, i16 with decimals and unit, 312.5 kPa", lambda: hub.last("gas", "pressure_kpa") == 312.5)
    until("TCP, noise 58.0 dB", lambda: hub.last("noise", "laeq_dba") == 58.0)
    wanted = {"wind_speed_ms": 1.25, "temperature_c": -3.0, "humidity_pct": 61.2, "laeq_dba": 63.4,
              "pm25_ugm3": 78, "pm10_ugm3": 132, "air_pressure_kpa": 101.3, "wind_direction_deg": 135}
    until("TCP, eight values of one block", lambda: all(hub.last("dust", m) == v for m, v in wanted.items()))
    until("serial line, 49.0 dB", lambda: hub.last("serial", "laeq_dba") == 49.0)
    until("DTU with torn answers, 47.0 dB", lambda: hub.last("mobile", "laeq_dba") == 47.0)
    until("missing registers are exception 2", lambda: hub.rejected("refused").get("exception_illegal_address"))
    until("and a fault", lambda: hub.last("refused", "fault") == 1)
    # pymodbus 3.16 answers for it with exception 4; others with 11, or not at all.
    until("a unit that is not there", lambda: sum(hub.rejected("absent").values()))
    until("short answers are counted", lambda: sum(hub.rejected("cut").values()))
    until("and never stored", lambda: hub.last("cut", "laeq_dba") is None)
    print("mbpoll unit 1:", mbpoll(["-p", str(tcp), "-a", "1", "-r", "2", "-c", "3", "127.0.0.1"]))
    print("mbpoll unit 2:", mbpoll(["-p", str(tcp), "-a", "2", "-r", "0", "127.0.0.1"]))
    print("mbpoll unit 4:", mbpoll(["-p", str(tcp), "-a", "4", "-r", "0", "127.0.0.1"]))
    servers[0].send_signal(signal.SIGKILL)
    servers[0].wait()
    until("a killed server is counted", lambda: hub.rejected("noise").get("link_closed"))
    servers[0] = start("tcp", tcp, 600)
    until("a restarted server resumes, 60.0 dB", lambda: hub.last("noise", "laeq_dba") == 60.0)
    dialled.close()
    dial(tuple(hub.addresses["dtus.connect"].rsplit(":", 1)), rtu_tcp, b"ZC1000")
    before = hub.call("GET", "ledger")
    until("a DTU that dials in again is polled", lambda: hub.call("GET", "ledger") != before)
    ledger = hub.call("GET", "ledger")
    print("ledger:", json.dumps(ledger)[:1500])
    hub.process.terminate()
    hub.process.wait()
    for server in servers:
        server.kill()
    print(f"{len(held)} held, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1]))
