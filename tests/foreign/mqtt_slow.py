#!/usr/bin/env python3
"""Loads the plain MQTT listener of a real hub with clients that are slow, and with 1,000 at once.

usage: mqtt_slow.py PATH_OF_CITYHUB [CONNECTIONS]

Needs paho-mqtt (pip) for the device that must not notice. Ends with a line that counts what held.
"""

import resource
import select
import socket
import statistics
import sys
import threading
import time

import paho.mqtt.client as paho
from hub import Hub, check, finish, until


def text(value):
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(first, body):
    length, head = len(body), b""
    while True:
        low, length = length % 128, length // 128
        head += bytes([low | 0x80 if length else low])
        if not length:
            return bytes([first]) + head + body


def connect(device):
    flags = bytes([4, 0xC2]) + (60).to_bytes(2, "big")
    return packet(0x10, text("MQTT") + flags + text(f"c-{device}") + text(device) + text(f"s-{device}"))


def publish(device, number, payload):
    return packet(0x32, text(f"devices/{device}/telemetry") + number.to_bytes(2, "big") + payload)


def memory_mib(hub):
    with open(f"/proc/{hub.process.pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


class Witness:
    """A device that reports all the time, and measures how long its acknowledgements take."""

    def __init__(self, hub):
        self.waits, self.end, self.connects = [], threading.Event(), 0
        self.client = paho.Client(client_id="witness")
        self.client.username_pw_set("witness", "s-witness")
        self.client.on_connect = lambda *_: setattr(self, "connects", self.connects + 1)
        self.client.connect("127.0.0.1", hub.mqtt)
        self.client.loop_start()
        self.thread = threading.Thread(target=self.report)
        self.thread.start()

    def report(self):
        while not self.end.wait(0.05):
            begin = time.time()
            sent = self.client.publish("devices/witness/telemetry", '{"fault":0}', 1)
            sent.wait_for_publish(10)
            self.waits.append((time.time() - begin) * 1000)

    def told(self):
        waits, self.waits = sorted(self.waits), []
        if len(waits) < 2:
            return "none"
        return f"{len(waits)} acknowledged, p50 {statistics.median(waits):.0f} ms, max {waits[-1]:.0f} ms"


def closed(sockets, patience):
    """Counts those that the hub hangs up on."""
    open_now, deadline, poll = {s.fileno(): s for s in sockets}, time.time() + patience, select.poll()
    for number in open_now:
        poll.register(number, select.POLLIN)
    while open_now and time.time() < deadline:
        for number, _ in poll.poll(200):
            try:
                gone = not open_now[number].recv(4096)
            except OSError:
                gone = True
            if gone:
                poll.unregister(number)
                open_now.pop(number).close()
    return len(sockets) - len(open_now)


def dial(hub, count):
    return [socket.create_connection(("127.0.0.1", hub.mqtt)) for _ in range(count)]


def slow_connects(hub, witness, count):
    begin = time.time()
    silent, dribbling = dial(hub, count // 2), dial(hub, count // 2)
    hello = connect("witness")
    end = threading.Event()

    def dribble():
        for byte in hello[:20]:
            for one in dribbling:
                try:
                    one.send(bytes([byte]))
                except OSError:
                    pass
            if end.wait(1):
                return

    feeder = threading.Thread(target=dribble)
    feeder.start()
    gone = closed(silent + dribbling, 30)
    end.set()
    feeder.join()
    seconds = time.time() - begin
    check(f"{count} that never end their CONNECT are hung up on within 30 s", gone == count, f"{gone} in {seconds:.1f} s")
    print("       meanwhile:", witness.told())


def thousand(hub, witness, count):
    before, begin = memory_mib(hub), time.time()
    lines = []
    for number in range(count):
        lines += dial(hub, 1)
        lines[-1].sendall(connect(f"d{number}"))
    welcome = sum(one.recv(4, socket.MSG_WAITALL) == b"\x20\x02\x00\x00" for one in lines)
    check(f"{count} connections at once are let in", welcome == count, f"{welcome} in {time.time() - begin:.1f} s")
    print(f"       memory {before:.0f} -> {memory_mib(hub):.0f} MiB; meanwhile: {witness.told()}")
    begin, body = time.time(), b'{"pressure_kpa":300}'
    for number, one in enumerate(lines):
        one.sendall(publish(f"d{number}", 1, body))
    acked = sum(one.recv(4, socket.MSG_WAITALL) == b"\x40\x02\x00\x01" for one in lines)
    check("one message of each is acknowledged", acked == count, f"{acked} in {time.time() - begin:.2f} s")
    # Each begins a packet and sends a byte of it a second: a tenth of them; the others rest.
    slow = lines[: count // 10]
    half = publish("d0", 2, body)
    for byte in half[:5]:
        for one in slow:
            one.send(bytes([byte]))
        time.sleep(1)
    for one in lines[count // 10:]:
        one.sendall(b"\xc0\x00")
    answers = sum(one.recv(2, socket.MSG_WAITALL) == b"\xd0\x00" for one in lines[count // 10:])
    check("the others are served beside a tenth that dribbles", answers == count - count // 10, answers)
    print("       meanwhile:", witness.told())
    # Many that never read their answers.
    deaf = lines[-50:]
    flood = b"\xc0\x00" * 20000
    for one in deaf:
        one.setblocking(False)
        try:
            one.send(flood)
        except BlockingIOError:
            pass
    time.sleep(2)
    print(f"       memory with 50 that do not read: {memory_mib(hub):.0f} MiB; meanwhile: {witness.told()}")
    for one in lines:
        one.close()


def main(program, count="1000"):
    count = int(count)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * count + 500)), hard))
    hub = Hub(program)
    devices = [{"id": f"d{n}", "kind": "gas_pressure", "secret": f"s-d{n}"} for n in range(count)]
    hub.register([*devices, {"id": "witness", "kind": "smoke", "secret": "s-witness"}])
    witness = Witness(hub)
    time.sleep(2)
    print("alone:", witness.told())
    slow_connects(hub, witness, count)
    thousand(hub, witness, count)
    time.sleep(2)
    witness.end.set()
    witness.thread.join()
    print("afterwards:", witness.told())
    check("the witness kept its one connection", witness.connects == 1, witness.connects)
    witness.client.loop_stop()
    until("every message of it is stored", lambda: len(hub.points("witness", "fault")) > 0)
    finish(hub)


main(*sys.argv[1:])
