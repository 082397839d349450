"""A site logger that speaks HJ 212-2017, written from the standard alone: it shares nothing with the hub.

Sends real-time, minute and hour data in parts, repeats what is not acknowledged, answers the requests
of the platform (1061, 1062, 1011, 2061), and prints what it saw as one JSON object.
"""

import json
import socket
import sys

LIMIT_S = 60


def crc(segment: bytes) -> int:
    """HJ 212-2017 annex A: bit by bit."""
    register = 0xFFFF
    for byte in segment:
        register = (register >> 8) ^ byte
        for _ in range(8):
            last = register & 1
            register >>= 1
            if last:
                register ^= 0xA001
    return register


def pack(segment: str) -> bytes:
    data = segment.encode()
    return b"##" + b"%04d" % len(data) + data + b"%04X" % crc(data) + b"\r\n"


class Site:
    def __init__(self, host: str, port: int, mn: str, day: str) -> None:
        self.mn, self.day, self.serial = mn, day, 0
        self.line = socket.create_connection((host, port), timeout=LIMIT_S)
        self.rest = b""
        self.interval = 30
        self.seen = {"acks": [], "requests": []}

    def receive(self) -> dict:
        """Waits for one frame of the platform and checks its length and sum."""
        while b"\r\n" not in self.rest:
            more = self.line.recv(4096)
            if not more:
                raise SystemExit("the platform hung up")
            self.rest += more
        frame, self.rest = self.rest.split(b"\r\n", 1)
        length = int(frame[2:6])
        segment, written = frame[6:6 + length], frame[6 + length:]
        assert frame[:2] == b"##" and written == b"%04X" % crc(segment), frame
        head, content = segment.decode().split("CP=&&")
        fields = dict(part.split("=", 1) for part in head.rstrip(";").split(";"))
        fields["CP"] = content[:-2]
        return fields

    def number(self) -> str:
        self.serial += 1
        return f"{self.day}080000{self.serial:03d}"

    def send(self, cn: str, content: str, flag: int = 5, parts: str = "") -> str:
        qn = self.number()
        head = f"QN={qn};ST=39;CN={cn};PW=123456;MN={self.mn};Flag={flag};{parts}"
        self.line.sendall(pack(f"{head}CP=&&{content}&&"))
        return qn

    def upload(self, cn: str, content: str, flag: int = 5, parts: str = "") -> None:
        qn = self.send(cn, content, flag, parts)
        ack = self.receive()
        assert ack["QN"] == qn and ack["ST"] == "91" and ack["CN"] in ("9013", "9014"), ack
        assert ack["Flag"] == "4" and ack["CP"] == "", ack
        self.seen["acks"].append(f"{cn} {ack['CN']}")

    def result(self, request: dict, cn: str, content: str) -> None:
        head = f"QN={request['QN']};ST=91;CN={cn};PW=123456;MN={self.mn};Flag=4;"
        self.line.sendall(pack(f"{head}CP=&&{content}&&"))

    def obey(self) -> None:
        """Carries one request of the platform out."""
        request = self.receive()
        cn, content = request["CN"], request["CP"]
        assert request["Flag"] == "5" and request["ST"] == "39", request
        self.seen["requests"].append(f"{cn} {content}")
        self.result(request, "9011", "QnRtn=1")
        if cn == "1061":
            head = f"QN={request['QN']};ST=39;CN=1061;PW=123456;MN={self.mn};Flag=4;"
            self.line.sendall(pack(f"{head}CP=&&RtdInterval={self.interval}&&"))
        elif cn == "1062":
            self.interval = int(content.split("=")[1])
        elif cn == "2061":
            self.upload("2061", f"DataTime={self.day}050000;a34001-Avg=0.111,a34001-Flag=N")
        self.result(request, "9012", "ExeRtn=1")


def main() -> None:
    host, port, mn, day, requests = sys.argv[1:]
    site = Site(host, int(port), mn, day)
    site.upload("1013", "")
    dust = "a34001-Rtd=0.178,a34001-Flag=N;LA-Rtd=63.2,LA-Flag=N"
    site.upload("2011", f"DataTime={day}080000;{dust}")
    site.upload("2011", f"DataTime={day}080030;a34001-Rtd=0.181,a34001-Flag=T;LA-Rtd=--,LA-Flag=D")
    one, two = "PNUM=2;PNO=1;", "PNUM=2;PNO=2;"
    site.upload("2061", f"DataTime={day}070000;a34001-Min=0.1,a34001-Avg=0.15,a34001-Max=0.2", 7, one)
    site.upload("2061", f"DataTime={day}070000;Leq-Data=61.5", 7, two)
    site.upload("2051", f"DataTime={day}075000;a34001-Avg=0.16,a34001-Flag=N")
    # An acknowledgement was lost on the way: the same again.
    site.upload("2011", f"DataTime={day}080000;{dust}")
    print("ready", flush=True)
    for _ in range(int(requests)):
        site.obey()
    print(json.dumps(site.seen), flush=True)


main()
