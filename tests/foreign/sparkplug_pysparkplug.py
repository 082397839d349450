#!/usr/bin/env python3
"""Has pysparkplug nodes report to a real hub: births, aliases, data, commands, deaths.

usage: sparkplug_pysparkplug.py PATH_OF_CITYHUB

Needs pysparkplug 0.6 (pip). Ends with a line that counts what held.
"""

import sys
import time

import paho.mqtt.client as paho
import pysparkplug as psp
from hub import Hub, check, finish, until

HOST = "cityhub"


def metric(name, datatype, value, alias=None, **more):
    # An instant holds one value.
    time.sleep(0.002)
    now = int(time.time() * 1000)
    return psp.Metric(timestamp=now, name=name, datatype=datatype, value=value, alias=alias, **more)


class Node:
    """A node made of pysparkplug's own messages, for what its EdgeNode does not do."""

    def __init__(self, port, user, secret, node, life=0, will_life=None):
        self.node, self.seq, self.life, self.commands, self.states = node, 0, life, [], []
        self.client = paho.Client(client_id=f"{node}-{life}", protocol=paho.MQTTv311)
        self.client.username_pw_set(user, secret)
        self.client.on_message, self.client.on_connect = self.on_message, self.on_connect
        self.connects = 0
        death = psp.NDeath(timestamp=0, bd_seq_metric=self.bd_seq(life if will_life is None else will_life))
        self.client.will_set(f"spBv1.0/CityA/NDEATH/{node}", death.encode(include_dtypes=True), 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def on_connect(self, *_):
        self.client.subscribe([(f"spBv1.0/CityA/NCMD/{self.node}", 1), (f"spBv1.0/STATE/{HOST}", 1)])
        self.connects += 1

    def bd_seq(self, life):
        return metric("bdSeq", psp.DataType.UINT64, life)

    def on_message(self, _client, _user, message):
        if "STATE" in message.topic:
            self.states.append((message.payload.decode(), message.retain))
        else:
            payload = psp.NCmd.decode(message.payload)
            self.commands += [(m.name, m.value) for m in payload.metrics]

    def say(self, kind, payload, device=None, types=True):
        topic = f"spBv1.0/CityA/{kind}/{self.node}" + (f"/{device}" if device else "")
        self.client.publish(topic, payload.encode(include_dtypes=types), 0)

    def number(self):
        self.seq = (self.seq + 1) % 256
        return self.seq

    def birth(self, *metrics):
        self.seq = 0
        now = int(time.time() * 1000)
        self.say("NBIRTH", psp.NBirth(timestamp=now, seq=0, metrics=(*metrics, self.bd_seq(self.life))))

    def device_birth(self, device, *metrics):
        now = int(time.time() * 1000)
        self.say("DBIRTH", psp.DBirth(timestamp=now, seq=self.number(), metrics=metrics), device)

    def data(self, device, *metrics, types=False):
        now = int(time.time() * 1000)
        self.say("DDATA", psp.DData(timestamp=now, seq=self.number(), metrics=metrics), device, types)


def edge_node(hub):
    """pysparkplug's EdgeNode as it comes: names, no aliases."""
    client = psp.Client(client_id="edge-node", username="plant-2", password="secret-2")
    node = psp.EdgeNode("CityA", "edge2", (metric("temperature_c", psp.DataType.FLOAT, 21.3),), client)
    node.register(psp.Device("dust-02", (metric("pm10_ugm3", psp.DataType.DOUBLE, 61.5),)))
    node.connect("127.0.0.1", port=hub.mqtt)
    until("EdgeNode: the birth's value of the node", lambda: hub.values("plant-2", "temperature_c") == [21.3])
    until("EdgeNode: the birth's value of the device", lambda: hub.values("dust-02", "pm10_ugm3") == [61.5])
    node.update_device("dust-02", (metric("pm10_ugm3", psp.DataType.DOUBLE, 62.5),))
    until("EdgeNode: data", lambda: hub.values("dust-02", "pm10_ugm3") == [61.5, 62.5])
    node.deregister("dust-02")
    until("EdgeNode: the device's death", lambda: hub.values("dust-02", "link_fault") == [0, 1])
    node.disconnect()
    until("EdgeNode: the node's end", lambda: hub.values("plant-2", "link_fault") == [0, 1])


def aliases(hub):
    node = Node(hub.mqtt, "plant-1", "secret-1", "edge1")
    until("the host's state is told", lambda: node.states)
    check("… retained, online", '"online":true' in node.states[0][0] and node.states[0][1], node.states[0])
    # Data before any birth.
    node.data("dust-01", metric(None, psp.DataType.DOUBLE, 1.0, alias=1))
    until("data before a birth: a rebirth is asked for", lambda: ("Node Control/Rebirth", True) in node.commands)
    until("… and counted", lambda: hub.rejected("dust-01").get("unknown_alias_request_rebirth") == 1)
    node.birth()
    node.device_birth(
        "dust-01",
        metric("Inputs/PM10", psp.DataType.DOUBLE, 60.0, alias=1),
        metric("Inputs/T", psp.DataType.INT32, -5, alias=4),
        metric("Inputs/Fault", psp.DataType.BOOLEAN, False, alias=5),
        metric("GPS/Lon", psp.DataType.DOUBLE, 118.1, alias=6),
        metric("GPS/Lat", psp.DataType.DOUBLE, 24.5, alias=7),
    )
    until("a birth's values by the profile", lambda: hub.values("dust-01", "pm10_ugm3") == [60.0])
    node.data(
        "dust-01",
        metric(None, psp.DataType.DOUBLE, 64.75, alias=1),
        metric(None, psp.DataType.INT32, -7, alias=4),
        metric(None, psp.DataType.BOOLEAN, True, alias=5),
    )
    until("values by alias alone", lambda: hub.values("dust-01", "pm10_ugm3") == [60.0, 64.75])
    check("… a negative one", hub.values("dust-01", "temperature_c") == [-5, -7])
    check("… a flag", hub.values("dust-01", "fault") == [0, 1])
    check("… a position of two metrics", len(hub.points("dust-01", "position")) == 1)
    # A gap: the value is stored, births are asked for, but not within the pause.
    node.commands.clear()
    node.number()
    node.data("dust-01", metric(None, psp.DataType.DOUBLE, 65.0, alias=1))
    until("a gap costs no value", lambda: hub.values("dust-01", "pm10_ugm3")[-1] == 65.0)
    until("… and asks for births once the pause is over", lambda: more(node), 20)
    # The will.
    sock = node.client.socket()
    node.client.loop_stop()
    sock.close()
    until("the node's death by its will", lambda: hub.values("plant-1", "link_fault")[-1:] == [1])
    check("… and its device's", hub.values("dust-01", "link_fault")[-1:] == [1])


def more(node):
    """Leaves another gap."""
    node.number()
    node.data("dust-01", metric(None, psp.DataType.DOUBLE, 65.0, alias=1))
    time.sleep(1)
    return ("Node Control/Rebirth", True) in node.commands


def lives(hub):
    older = Node(hub.mqtt, "plant-1", "secret-1", "edge1", life=1)
    older.birth()
    until("a new life", lambda: hub.values("plant-1", "link_fault")[-1:] == [0])
    newer = Node(hub.mqtt, "plant-1", "secret-1", "edge1", life=2)
    newer.birth()
    until("a newer one", lambda: hub.values("plant-1", "link_fault")[-2:] == [0, 0])
    older.client.loop_stop()
    older.client.socket().close()
    until("the older one's death is not the newer's", lambda: hub.rejected("plant-1").get("stale_death") == 1)
    check("… which lives", hub.values("plant-1", "link_fault")[-1] == 0)
    return newer


def restart(hub, node):
    node.device_birth("dust-01", metric("Inputs/PM10", psp.DataType.DOUBLE, 70.0, alias=1))
    until("before the restart", lambda: hub.values("dust-01", "pm10_ugm3")[-1] == 70.0)
    check("the hub stops", hub.stop() == 0)
    hub.start()
    # paho is back by itself; this node is not born anew, as it must be by the specification.
    until("the node is back", lambda: node.connects == 2)
    node.commands.clear()
    before = len(hub.points("dust-01", "pm10_ugm3"))
    node.data("dust-01", metric(None, psp.DataType.DOUBLE, 71.0, alias=1))
    until("after a restart births are asked for", lambda: ("Node Control/Rebirth", True) in node.commands)
    check("… and nothing is guessed", len(hub.points("dust-01", "pm10_ugm3")) == before)
    node.birth()
    node.device_birth("dust-01", metric("Inputs/PM10", psp.DataType.DOUBLE, 72.0, alias=3))
    node.data("dust-01", metric(None, psp.DataType.DOUBLE, 73.0, alias=3))
    until("… then all is as before", lambda: hub.values("dust-01", "pm10_ugm3")[-2:] == [72.0, 73.0])
    node.client.loop_stop()


def main(program):
    hub = Hub(
        program,
        mqtt=f'sparkplug_host_id = "{HOST}"\nsparkplug_rebirth_pause_s = 5',
        more="""[profiles.dust]
codec = "sparkplug_b"
[profiles.dust.values]
pm10_ugm3 = { name = "Inputs/PM10" }
temperature_c = { name = "Inputs/T" }
fault = { name = "Inputs/Fault" }
position = { lon = "GPS/Lon", lat = "GPS/Lat" }
""",
    )
    hub.register([
        {"id": "plant-1", "kind": "gateway", "secret": "secret-1", "identities": {"sparkplug": "CityA/edge1"}},
        {"id": "dust-01", "kind": "dust", "parent": "plant-1", "profile": "dust"},
        {"id": "plant-2", "kind": "gateway", "secret": "secret-2", "identities": {"sparkplug": "CityA/edge2"}},
        {"id": "dust-02", "kind": "dust", "parent": "plant-2"},
    ])
    edge_node(hub)
    aliases(hub)
    restart(hub, lives(hub))
    finish(hub)


main(sys.argv[1])
