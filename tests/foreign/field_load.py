#!/usr/bin/env python3
"""A thousand devices of each field protocol at once, and peers that misbehave, against one hub.

    field_load.py CITYHUB [--protocols a,b] [--connections 1000] [--frames 20] [--pace 1.0] [--hostile 100]

Shares nothing with the hub: every frame is put together here by hand, from the standards. Starts CITYHUB
in a folder of its own; for each protocol it opens so many connections, each of a registered device which
sends frames and waits for the acknowledgement of each, byte for byte; as many hostile connections dribble
a byte a second, and as many send noise. Then: odd streams (one byte a write, glued frames, noise before a
frame, the end marker inside one). Prints a table, and ends with 1 if something did not hold: every frame
is acknowledged, what the ledger has stored is what was acknowledged, dribblers are hung up on after
frame_timeout_s, noise after noise_bytes_max, and `cityhub verify` agrees afterwards.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

TOKEN = "load-0123456789abcdef0123456789abcdef"
FRAME_TIMEOUT_S = 10
NOISE_BYTES_MAX = 8192
PATIENCE_S = 120

CONFIG = f"""data_dir = "data"
[city]
code = "350200"
[http]
listen = "127.0.0.1:0"
[auth.tokens.load]
token = "{TOKEN}"
role = "admin"
"""

LIMITS = f"""frame_timeout_s = {FRAME_TIMEOUT_S}
noise_bytes_max = {NOISE_BYTES_MAX}
"""


def crc16_modbus(data: bytes) -> int:
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return register


def beijing(seconds: int) -> time.struct_time:
    return time.gmtime(seconds + 8 * 3600)


class Hj212:
    """HJ 212-2017: 2011 with Flag=5, answered by 9014."""

    name, config = "hj212", 'kind = "hj212"\nlisten = "127.0.0.1:0"\n' + LIMITS
    noise, long = b"\x00no frame#", b"##0900QN=20260301000000000;ST=39;CN=2011;PW=123456;MN=SLOW;Flag=5;CP=&&"

    def devices(self, n):
        return [{"id": f"hj-{n}", "kind": "noise", "identities": {"hj212_mn": f"LOAD{n:06d}"}}]

    def counted(self, n):
        return f"hj-{n}"

    @staticmethod
    def pack(segment: bytes) -> bytes:
        register = 0xFFFF
        for byte in segment:  # annex A: the register's high byte is shifted down first
            register = (register >> 8) ^ byte
            for _ in range(8):
                register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
        return b"##%04d%s%04X\r\n" % (len(segment), segment, register)

    def frame(self, n, k, base, marker=False):
        inside = ";i11001-Info=//a\r\n##b//" if marker else ""
        at = time.strftime("%Y%m%d%H%M%S", beijing(base + k))
        text = f"QN={at}{k % 1000:03d};ST=39;CN=2011;PW=123456;MN=LOAD{n:06d};Flag=5;"
        return self.pack((text + f"CP=&&DataTime={at};LA-Rtd=63.2,LA-Flag=N{inside}&&").encode())

    async def ack(self, reader, n, k, base):
        at = time.strftime("%Y%m%d%H%M%S", beijing(base + k))
        text = f"QN={at}{k % 1000:03d};ST=91;CN=9014;PW=123456;MN=LOAD{n:06d};Flag=4;CP=&&&&"
        wanted = self.pack(text.encode())
        heard = await reader.readexactly(len(wanted))
        assert heard == wanted, (heard, wanted)


class Gb26875:
    """GB/T 26875.3: the state of the transmission device (type 21), confirmed by command 3."""

    name, config = "gb26875", 'kind = "gb26875"\nlisten = "127.0.0.1:0"\n' + LIMITS
    noise, long = b"noise@", b"@@\x01\x00\x01\x01" + bytes(18) + b"\x00\x04\x02" + bytes(900)

    def devices(self, n):
        return [{"id": f"gb-{n}", "kind": "gateway", "identities": {"gb26875": f"{n + 1:012x}"}}]

    def counted(self, n):
        return f"gb-{n}"

    @staticmethod
    def stamp(seconds):
        at = beijing(seconds)
        return bytes([at.tm_sec, at.tm_min, at.tm_hour, at.tm_mday, at.tm_mon, at.tm_year - 2000])

    @staticmethod
    def serial(k, marker):
        return 0x2323 if marker else k + 1

    def frame(self, n, k, base, marker=False):
        at = self.stamp(base + k)
        body = struct.pack("<H", self.serial(k, marker)) + b"\x01\x01" + at
        body += (n + 1).to_bytes(6, "little") + b"\x99\x00\x00\x00\x00\x00"
        unit = b"\x15\x01\x01" + at
        body += struct.pack("<H", len(unit)) + b"\x02" + unit
        return b"@@" + body + bytes([sum(body) & 0xFF]) + b"##"

    async def ack(self, reader, n, k, base, marker=False):
        heard = await reader.readexactly(30)
        assert heard[:2] == b"@@" and heard[28:] == b"##", heard
        assert heard[27] == sum(heard[2:27]) & 0xFF, heard
        assert struct.unpack("<H", heard[2:4])[0] == self.serial(k, marker), heard
        assert heard[12:18] == b"\x99\x00\x00\x00\x00\x00", heard
        assert heard[18:24] == (n + 1).to_bytes(6, "little"), heard
        assert heard[24:27] == b"\x00\x00\x03", heard


class Jt808:
    """JT/T 808-2013: the location 0200, answered by 8001."""

    name, config = "jt808", 'kind = "jt808"\nlisten = "127.0.0.1:0"\n' + LIMITS
    noise, long = b"(740190311185,1,001,ELOCK,3,529439)", b"\x7e\x02\x00\x03\xff" + bytes(800)

    def devices(self, n):
        return [{"id": f"jt-{n}", "kind": "truck", "identities": {"jt808": f"139{n:08d}"}}]

    def counted(self, n):
        return f"jt-{n}"

    @staticmethod
    def wrap(plain: bytes) -> bytes:
        check = 0
        for byte in plain:
            check ^= byte
        plain += bytes([check])
        return b"\x7e" + plain.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e"

    @staticmethod
    def serial(k, marker):
        return 0x7E7D if marker else k

    def frame(self, n, k, base, marker=False):
        at = bytes.fromhex(time.strftime("%y%m%d%H%M%S", beijing(base + k)))
        body = struct.pack(">IIIIHHH", 0, 3, 24_479_800, 118_089_400, 40, 60, 90) + at
        head = b"\x02\x00" + struct.pack(">H", len(body)) + bytes.fromhex(f"0139{n:08d}")
        return self.wrap(head + struct.pack(">H", self.serial(k, marker)) + body)

    async def ack(self, reader, n, k, base, marker=False):
        assert await reader.readexactly(1) == b"\x7e"
        heard = (await reader.readuntil(b"\x7e"))[:-1]
        plain = heard.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
        check = 0
        for byte in plain:
            check ^= byte
        assert check == 0, heard
        assert plain[:10] == b"\x80\x01\x00\x05" + bytes.fromhex(f"0139{n:08d}"), heard
        assert plain[12:17] == struct.pack(">H", self.serial(k, marker)) + b"\x02\x00\x00", heard


class BikeLock:
    """Omni locks: the end of a ride, L1."""

    name, config = "bikelock", 'kind = "bikelock"\nlisten = "127.0.0.1:0"\n' + LIMITS
    noise, long = b"noise*CM\n", b"*CMDR,OM,863725031194523,000000000000,L1,1,1497689816,20,,,,,,,,,,,,,"

    def devices(self, n):
        return [{"id": f"bike-{n}", "kind": "bike", "identities": {"bikelock": f"8637250{n:08d}"}}]

    def counted(self, n):
        return f"bike-{n}"

    def frame(self, n, k, base, marker=False):
        # A field cannot hold the end marker: the line that it cuts is refused, the next one taken.
        cut = b"*CMDR,OM,8637#250\n" if marker else b""
        return cut + f"*CMDR,OM,8637250{n:08d},000000000000,L1,{k},1497689816,{k % 200}#\n".encode()

    async def ack(self, reader, n, k, base):
        wanted = f"*CMDS,OM,8637250{n:08d},000000000000,L1#\n".encode()
        heard = await reader.readexactly(2 + len(wanted))
        assert heard == b"\xff\xff" + wanted, heard


class Pressure:
    """A5 5A frames of pressure terminals: one record, answered by an empty frame."""

    name, config = "pressure", 'kind = "pressure_frame"\nlisten = "127.0.0.1:0"\nidle_timeout_s = 60\n' + LIMITS
    noise, long = b"\xa5noise\xa5\x5a\x01", b"\xa5\x5a\x00\x00\xfaSHGS26030001" + bytes(200)

    def devices(self, n):
        return [{"id": f"gas-{n}", "kind": "gas_pressure", "identities": {"pressure_frame": f"SHGS{n:08d}"}}]

    def counted(self, n):
        return f"gas-{n}"

    @staticmethod
    def seal(data: bytes) -> bytes:
        return data + struct.pack(">H", crc16_modbus(data)) + b"\x55\xaa"

    def frame(self, n, k, base, marker=False):
        at = base + k
        if marker:  # the end marker stands in the time
            at = (at & ~0xFFFF) + 0x55AA - (0x10000 if at & 0xFFFF < 0x55AA else 0)
        data = b"\xa5\x5a\x00\x00\x29" + f"SHGS{n:08d}".encode() + b"\x8a\xba\x01\x2c\x00\x01\x00\x00"
        data += b"\x00\x14\x00\x23" + struct.pack(">HIH", 18 + k % 50, at, 18 + k % 50)
        return self.seal(data)

    async def ack(self, reader, n, k, base):
        wanted = self.seal(b"\xa5\x5a\x00\x00\x15" + f"SHGS{n:08d}".encode())
        heard = await reader.readexactly(len(wanted))
        assert heard == wanted, heard


class ModbusDtu:
    """RTU over TCP from DTUs that dial in: the hub asks, so the next question is the acknowledgement."""

    name = "modbus"
    config = ('kind = "modbus"\nconnect = "rtu+tcp-listen://127.0.0.1:0"\nmap = "rs485-noise"\n'
              f"registration_timeout_s = {FRAME_TIMEOUT_S}\ngap_ms = 0\n")
    once = 1  # that there is no fault is told with the first answer
    noise, long = b"", b"who am I?" * 50
    asked = b"\x01\x03\x00\x00\x00\x01\x84\x0a"

    def devices(self, n):
        return [{"id": f"dtu-{n}", "kind": "gateway", "identities": {"dtu": f"DTU{n:08d}"}},
                {"id": f"mb-{n}", "kind": "noise", "parent": f"dtu-{n}", "cadence_s": 1,
                 "identities": {"modbus": f"dtu-{n}/1"}}]

    def counted(self, n):
        return f"mb-{n}"

    def hello(self, n):
        return f"DTU{n:08d}".encode()

    def frame(self, n, k, base, marker=False):
        # There is no end marker; an answer may hold the bytes of a head.
        data = b"\x01\x03\x02" + struct.pack(">H", 0x0103 if marker else 500 + k % 400)
        return data + struct.pack("<H", crc16_modbus(data))

    async def ack(self, reader, n, k, base):
        heard = await reader.readexactly(len(self.asked))
        assert heard == self.asked, heard


PROTOCOLS = [Hj212(), Gb26875(), Jt808(), BikeLock(), Pressure(), ModbusDtu()]


class Hub:
    def __init__(self, program, folder, protocols):
        self.program, self.folder = program, folder
        tables = [f"[drivers.{protocol.name}]\n{protocol.config}" for protocol in protocols]
        with open(os.path.join(folder, "hub.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIG + "".join(tables))
        self.log = open(os.path.join(folder, "hub.log"), "w+", encoding="utf-8")
        command = [program, "run", "--config", "hub.toml"]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=self.log)
        self.addresses = self.ready()

    def ready(self):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            assert self.process.poll() is None, "the hub ended; see hub.log"
            with open(self.log.name, encoding="utf-8") as log:
                lines = [line.split() for line in log if " ready " in line or line.startswith("ready ")]
            if lines:
                return dict(word.split("=", 1) for word in lines[0] if "=" in word)
            time.sleep(0.1)
        raise SystemExit("the hub never was ready")

    def address(self, protocol):
        for key in (f"{protocol.name}.listen", f"{protocol.name}.connect"):
            if key in self.addresses:
                host, port = self.addresses[key].rsplit(":", 1)
                return host, int(port)
        raise SystemExit(f"no address of {protocol.name} in {self.addresses}")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{self.addresses['http']}{path}", data, head, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def memory_mib(self, what="VmRSS"):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            for line in status:
                if line.startswith(what):
                    return int(line.split()[1]) / 1024
        return 0.0

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        verify = subprocess.run([self.program, "verify", "--config", "hub.toml"], cwd=self.folder, check=False,
                                capture_output=True, text=True)
        return code, verify.returncode, (verify.stdout + verify.stderr).strip().splitlines()


async def connect(address):
    reader, writer = await asyncio.open_connection(*address)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return reader, writer


def close(writer):
    writer.transport.abort()


class Load:
    def __init__(self, options, protocol, address):
        self.options, self.protocol, self.address = options, protocol, address
        self.base = int(time.time()) - options.frames - 10
        self.latencies, self.acknowledged, self.broken = [], {}, []
        self.dribbled, self.noise_sent = [], []

    async def device(self, n):
        """Sends and waits for each acknowledgement; where the hub asks, answers and waits for the next question."""
        await asyncio.sleep(random.random() * max(self.options.pace, 1.0))
        try:
            reader, writer = await connect(self.address)
            asks = hasattr(self.protocol, "hello")
            if asks:
                writer.write(self.protocol.hello(n))
                await asyncio.wait_for(self.protocol.ack(reader, n, 0, self.base), PATIENCE_S)
            for k in range(self.options.frames):
                begun = time.perf_counter()
                writer.write(self.protocol.frame(n, k, self.base))
                await asyncio.wait_for(self.protocol.ack(reader, n, k, self.base), PATIENCE_S)
                took = time.perf_counter() - begun
                self.latencies.append(took)
                self.acknowledged[n] = k + 1
                if not asks:
                    await asyncio.sleep(max(0.0, self.options.pace - took))
            return writer
        except Exception as error:  # pylint: disable=broad-except
            self.broken.append(f"device {n} after {self.acknowledged.get(n, 0)}: {error!r}")
            return None

    async def dribbler(self):
        """One byte a second, until it is hung up on."""
        reader, writer = await connect(self.address)
        begun = time.perf_counter()
        for byte in self.protocol.long:
            writer.write(bytes([byte]))
            try:
                if await asyncio.wait_for(reader.read(64), 1.0) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            if time.perf_counter() - begun > 6 * FRAME_TIMEOUT_S:
                break
        self.dribbled.append(time.perf_counter() - begun)
        close(writer)

    async def noisy(self, seed):
        """Random bytes, 256 at a time, until it is hung up on."""
        reader, writer = await connect(self.address)
        source, sent = random.Random(seed), 0
        try:
            while sent < 100 * NOISE_BYTES_MAX:
                writer.write(source.randbytes(256))
                sent += 256
                try:
                    while await asyncio.wait_for(reader.read(4096), 0.1) != b"":
                        pass
                    break
                except TimeoutError:
                    pass
        except OSError:
            pass
        self.noise_sent.append(sent)
        close(writer)

    async def odd(self, n, pieces, expected, marker=False):
        reader, writer = await connect(self.address)
        hello = getattr(self.protocol, "hello", None)
        if hello:
            writer.write(hello(n))
            await asyncio.wait_for(self.protocol.ack(reader, n, 0, self.base), PATIENCE_S)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.001)
        more = {"marker": True} if marker and self.protocol.name in ("gb26875", "jt808") else {}
        for k in range(expected):
            ack = self.protocol.ack(reader, n, k, self.base, **more)
            await asyncio.wait_for(ack, PATIENCE_S)
        close(writer)

    async def odds(self, first):
        protocol, base, words = self.protocol, self.base, []
        frames = [protocol.frame(first + 1, k, base) for k in range(5)]
        one = protocol.frame(first, 0, base)
        stories = {
            "bytes": (first, [bytes([byte]) for byte in one], 1, False),
            "noise": (first + 2, [protocol.noise + protocol.frame(first + 2, 0, base)], 1, False),
            "marker": (first + 3, [protocol.frame(first + 3, 0, base, marker=True)], 1, True),
        }
        if hasattr(protocol, "hello"):
            # What the hub did not ask for is no answer: the same data twice counts once.
            stories["glued"] = (first + 1, [frames[0] + frames[0]], 1, False)
        else:
            stories["glued"] = (first + 1, [b"".join(frames)], 5, False)
        for word, (n, pieces, expected, marker) in stories.items():
            try:
                await self.odd(n, pieces, expected, marker)
                words.append(word)
            except Exception as error:  # pylint: disable=broad-except
                self.broken.append(f"{word}: {error!r}")
        return words


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


async def proof(options, hub, protocol):
    count, hostile = options.connections, options.hostile
    devices = [device for n in range(count + 5) for device in protocol.devices(n)]
    for at in range(0, len(devices), 500):
        hub.call("PUT", "/api/v1/devices", devices[at:at + 500])
    load = Load(options, protocol, hub.address(protocol))
    before, cpu = hub.memory_mib(), hub.cpu_s()
    begun = time.perf_counter()
    bad = [asyncio.create_task(load.dribbler()) for _ in range(hostile)]
    bad += [asyncio.create_task(load.noisy(seed)) for seed in range(hostile)]
    writers = await asyncio.gather(*(load.device(n) for n in range(count)))
    took, cpu = time.perf_counter() - begun, hub.cpu_s() - cpu
    held = hub.memory_mib()
    await asyncio.gather(*bad)
    odd = await load.odds(count)
    for writer in writers:
        if writer:
            close(writer)
    await asyncio.sleep(1.5)
    # The last odd device but one sends a frame alone: what one frame is worth.
    ledger = hub.call("GET", "/api/v1/ledger")["devices"]
    stored = {n: ledger.get(protocol.counted(n), {}).get("stored", 0) for n in range(count + 4)}
    once = getattr(protocol, "once", 0)
    worth = stored[count] - once
    frames = sum(load.acknowledged.values())
    wrong = [n for n in range(count) if stored[n] != load.acknowledged.get(n, 0) * worth + once]
    checks = {
        "all acknowledged": frames == count * options.frames and not load.broken,
        "stored is acknowledged": worth > 0 and not wrong,
        "dribblers": all(FRAME_TIMEOUT_S - 0.1 <= held_s <= FRAME_TIMEOUT_S + 3 for held_s in load.dribbled),
        "noise": hasattr(protocol, "hello") or all(
            NOISE_BYTES_MAX - 512 < sent <= 4 * NOISE_BYTES_MAX for sent in load.noise_sent),
        "odd streams": len(odd) == 4,
    }
    span = (lambda values: f"{min(values):.4g} to {max(values):.4g}" if values else "none")
    print(f"| {protocol.name} | {count} | {count * options.frames} | {frames} | {sum(stored[n] for n in range(count))} = {frames} x {worth}{f' + {count}' if once else ''} | "
          f"{frames / took:.0f} | {percentile(load.latencies, .5) * 1e3:.1f} | {percentile(load.latencies, .99) * 1e3:.1f} | "
          f"{before:.0f} → {held:.0f} | {cpu / max(frames, 1) * 1e6:.0f} | {span(load.dribbled)} | {span(load.noise_sent)} | {' '.join(odd)} |",
          flush=True)
    for text in load.broken[:5]:
        print(f"  {protocol.name}: {text}", flush=True)
    for n in wrong[:5]:
        print(f"  {protocol.name}: {protocol.counted(n)} stored {stored[n]}, acknowledged {load.acknowledged.get(n, 0)} x {worth}")
    failed = [name for name, holds in checks.items() if not holds]
    if failed:
        print(f"  {protocol.name}: DOES NOT HOLD: {', '.join(failed)}", flush=True)
    return not failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cityhub")
    parser.add_argument("--protocols", default=",".join(protocol.name for protocol in PROTOCOLS))
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--hostile", type=int, default=100)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--pace", type=float, default=1.0)
    options = parser.parse_args()
    wanted = options.protocols.split(",")
    protocols = [protocol for protocol in PROTOCOLS if protocol.name in wanted]
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(os.path.abspath(options.cityhub), folder, protocols)
        try:
            print("| protocol | connections | frames | acknowledged | stored | frames/s | p50 ms | p99 ms | hub MiB | hub CPU us/frame "
                  "| dribblers held s | noise bytes | odd streams |")
            print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
            held = [asyncio.run(proof(options, hub, protocol)) for protocol in protocols]
            print(f"hub at most {hub.memory_mib('VmHWM'):.0f} MiB")
        finally:
            code, verified, words = hub.stop()
        print(f"hub ended with {code}; verify with {verified}: {words[-1] if words else ''}")
        if not (all(held) and code == 0 and verified == 0):
            hub.log.seek(0)
            print(hub.log.read()[-3000:], file=sys.stderr)
            sys.exit(1)


main()
