#!/usr/bin/env python3
"""Runs the real thingsboard-gateway against a real hub as if that were ThingsBoard.

usage: thingsboard_gateway.py PATH_OF_CITYHUB [PYTHON_WITH_THE_GATEWAY] [SECONDS]

Needs thingsboard-gateway 3.8 (pip). Its Modbus connector polls a counter of this script; the hub is
restarted once, and killed once, meanwhile: every count must arrive. Ends with a line that counts what held.
"""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from hub import Hub, check, finish, free_port, until

NAME = "Demo Device"

# What it says to any server: there is no network beyond this machine; its pymodbus is old; and a CONNACK of
# version 5 that has limits lacks those that it asks for afterwards.
OWN_WARNINGS = ["update service", "BinaryPayload", "Cannot retrieve service configuration"]


class Plc:
    """Modbus TCP with a counter that moves once in STEP_S, a temperature, and one coil."""

    STEP_S = 2

    def __init__(self, port):
        self.begin, self.coil, self.frozen = time.time(), 0, None
        self.server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()

    def count(self):
        return self.frozen if self.frozen is not None else 1 + int((time.time() - self.begin) / self.STEP_S)

    def serve(self):
        while True:
            line = self.server.accept()[0]
            threading.Thread(target=self.talk, args=(line,), daemon=True).start()

    def talk(self, line):
        while head := line.recv(7, socket.MSG_WAITALL):
            number, _, length, unit = struct.unpack(">HHHB", head)
            code, at, value = struct.unpack(">BHH", line.recv(length - 1, socket.MSG_WAITALL)[:5])
            if code == 5:
                self.coil = int(value == 0xFF00)
                body = struct.pack(">BHH", code, at, value)
            elif code in (1, 2):
                body = struct.pack(">BBB", code, 1, self.coil << at % 8 if value > 1 else self.coil)
            else:
                registers = [self.count(), 213, 87, 0, 0, 0, 0, 0][at:at + value]
                body = struct.pack(f">BB{len(registers)}H", code, 2 * len(registers), *registers)
            line.sendall(struct.pack(">HHHB", number, 0, len(body) + 1, unit) + body)


def value(tag, address, **more):
    return {"tag": tag, "type": "16uint", "functionCode": 3, "objectsCount": 1, "address": address, **more}


def configure(folder, hub, plc_port):
    """The gateway's own files."""
    os.makedirs(f"{folder}/config")
    os.makedirs(f"{folder}/logs")
    gateway = {
        "thingsboard": {
            "host": "127.0.0.1", "port": hub.mqtt, "remoteShell": False, "remoteConfiguration": False,
            "statistics": {"enable": True, "statsSendPeriodInSeconds": 60, "customStatsSendPeriodInSeconds": 3600},
            "deviceFiltering": {"enable": False, "filterFile": "list.json"},
            "maxPayloadSizeBytes": 8196, "minPackSendDelayMS": 50, "minPackSizeToSend": 500,
            "checkConnectorsConfigurationInSeconds": 60, "handleDeviceRenaming": True,
            "security": {"type": "accessToken", "accessToken": "token-of-gw-1"}, "qos": 1,
            "reportStrategy": {"type": "ON_RECEIVED"},
            "checkingDeviceActivity": {"checkDeviceInactivity": False},
        },
        "storage": {"type": "memory", "read_records_count": 100, "max_records_count": 100000},
        "grpc": {"enabled": False},
        "connectors": [{"type": "modbus", "name": "PLC", "configuration": "modbus.json"}],
    }
    slave = {
        "host": "127.0.0.1", "port": plc_port, "type": "tcp", "method": "socket", "unitId": 1,
        "deviceName": NAME, "deviceType": "default", "timeout": 5, "byteOrder": "BIG", "wordOrder": "BIG",
        "retries": 3, "pollPeriod": 500, "connectAttemptTimeMs": 5000, "connectAttemptCount": 5,
        "attributes": [value("battery_pct", 2)],
        "timeseries": [value("parked_count", 0), value("temperature_c", 1, divider=10)],
        "rpc": [
            {"tag": "setRelay", "type": "bits", "address": 1, "objectsCount": 1, "functionCode": 5},
            {"tag": "getRelay", "type": "bits", "address": 1, "objectsCount": 1, "functionCode": 1},
        ],
    }
    for name, content in [("tb_gateway", gateway), ("modbus", {"master": {"slaves": [slave]}})]:
        with open(f"{folder}/config/{name}.json", "w") as file:
            json.dump(content, file)
    # Everything it logs to one stream.
    logs = {
        "version": 1, "disable_existing_loggers": False,
        "formatters": {"f": {"format": "|%(levelname)s| %(name)s %(module)s %(message)s"}},
        "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "f", "stream": "ext://sys.stdout"}},
        "loggers": {
            name: {"handlers": ["out"], "level": "INFO", "propagate": False}
            for name in ["service", "tb_connection", "storage", "extension", "connector", "converter", "database"]
        },
        "root": {"level": "INFO", "handlers": ["out"]},
    }
    with open(f"{folder}/config/logs.json", "w") as file:
        json.dump(logs, file)


def start(python, folder):
    environment = {**os.environ, "TB_GW_CONFIG_DIR": f"{folder}/config", "PYTHONUNBUFFERED": "1"}
    code = "from thingsboard_gateway.tb_gateway import main; main()"
    log = open(f"{folder}/gateway.log", "w")
    args = [python, "-c", code]
    return subprocess.Popen(args, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)


def trouble(folder, after=0):
    """What the gateway logged as wrong."""
    with open(f"{folder}/gateway.log") as file:
        lines = file.read()[after:].splitlines()
    wrong = [line for line in lines if re.search(r"\|(WARNING|ERROR|CRITICAL)\||Traceback|Exception", line)]
    return [line for line in wrong if not any(own in line for own in OWN_WARNINGS)]


def main(program, python=sys.executable, seconds="180"):
    hub = Hub(program)
    hub.register([
        {"id": "gw-1", "kind": "gateway", "secret": "token-of-gw-1"},
        {"id": "station-1", "kind": "bike_fence", "parent": "gw-1", "identities": {"thingsboard": NAME}},
    ])
    folder, plc_port = tempfile.mkdtemp(), free_port()
    plc = Plc(plc_port)
    configure(folder, hub, plc_port)
    print(f"the gateway's log is {folder}/gateway.log", flush=True)
    gateway = start(python, folder)
    begin = time.time()

    def counts():
        return sorted(set(int(v) for v in hub.values("station-1", "parked_count"))) or [0]

    until("telemetry arrives under the child", lambda: counts()[-1], 60)
    until("attributes arrive under the child", lambda: hub.values("station-1", "battery_pct")[:1] == [87])
    check("a divided value", hub.values("station-1", "temperature_c")[:1] == [21.3])
    until("connect is noted", lambda: hub.values("station-1", "link_fault")[:1] == [0])
    answer = hub.call("POST", "devices/station-1/commands", {"command": "setRelay", "args": {"params": True}})
    check("an order to the child is carried out", plc.coil == 1, answer)
    answer = hub.call("POST", "devices/station-1/commands", {"command": "getRelay", "args": {}})
    check("… and another's answer comes back", answer.get("answer", {}).get("result") == {"value": True}, answer)
    check("no errors so far", not trouble(folder), trouble(folder)[:5])
    time.sleep(max(0, int(seconds) / 3 - (time.time() - begin)))
    before_stop = os.path.getsize(f"{folder}/gateway.log")
    check("minutes without an error", not trouble(folder), trouble(folder)[:5])
    # A stop and a start, with 15 s between them.
    at_stop = counts()
    check("the hub stops", hub.stop() == 0)
    time.sleep(15)
    hub.start()
    until("the gateway is back after a restart", lambda: counts()[-1] > at_stop[-1] + 7, 90)
    # A kill, under load.
    hub.stop(signal.SIGKILL)
    time.sleep(5)
    hub.start()
    at_kill = counts()
    until("… and after a kill", lambda: counts()[-1] > at_kill[-1] + 5, 90)
    time.sleep(max(0, int(seconds) - (time.time() - begin)))
    plc.frozen = plc.count()
    until("the last count arrives", lambda: counts()[-1] == plc.frozen, 60)
    seen = counts()
    lost = sorted(set(range(seen[0], plc.frozen + 1)) - set(seen))
    check(f"no count of {len(seen)} is lost over both", not lost, lost)
    after = trouble(folder, before_stop)
    print(f"the gateway's warnings since the stop ({len(after)}):", *after[:8], sep="\n  ")
    gateway.send_signal(signal.SIGINT)
    gateway.wait(60)
    until("disconnect is noted when the gateway ends", lambda: hub.values("station-1", "link_fault")[-1:] == [1], 10)
    print("ledger gw-1:", json.dumps(hub.counts("gw-1")))
    print("ledger station-1:", json.dumps(hub.counts("station-1")))
    finish(hub)


main(*sys.argv[1:])
