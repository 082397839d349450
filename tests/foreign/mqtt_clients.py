#!/usr/bin/env python3
"""Has clients of others write payloads of others to a real hub: JSON, ThingsBoard's API, uplinks of LoRaWAN servers.

usage: mqtt_clients.py PATH_OF_CITYHUB

Needs mosquitto-clients (Debian), paho-mqtt (pip), and kpn-senml with cbor2 (pip). Uplinks are the recorded
ones of drivers/codecs/testdata, with their own times moved into the present. Ends with a line that counts what held.
"""

import datetime
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

import paho.mqtt.client as paho
from hub import Hub, check, finish, until

DATA = pathlib.Path(__file__).parents[2] / "drivers/codecs/testdata"
PROFILES = """
[profiles.dust_maker]
codec = "json"
time = "/head/at"
[profiles.dust_maker.values]
pm10_ugm3 = { at = "/d/0/v", scale = 0.1, sentinels = [65535] }
temperature_c = { at = "/d/1/v", scale = 0.01, offset = -40.0 }
[profiles.plain]
codec = "json"
[profiles.pack]
codec = "senml"
[profiles.pack.values]
temperature_c = { name = "temperature", unit = "Cel" }
humidity_pct = { name = "humidity" }
position = { lon = "longitude", lat = "latitude" }
[profiles.lht52]
codec = "json"
values.temperature_c = { at = "/TempC_SHT", sentinels = [327.67] }
values.humidity_pct = { at = "/Hum_SHT" }
[profiles.tts]
codec = "json"
values.temperature_c = { at = "/temperature" }
"""


def now_ms():
    return int(time.time() * 1000)


def mosquitto(hub, user, secret, topic, payload, *more):
    """Publishes with QoS 1, and tells whether the hub acknowledged it."""
    login = ["-u", user] + (["-P", secret] if secret else [])
    args = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(hub.mqtt), *login, "-q", "1", "-t", topic, *more]
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    done = subprocess.run([*args, "-s"], input=body, capture_output=True, timeout=30)
    said = (done.stdout + done.stderr).decode().strip()
    return done.returncode == 0 and not said, said


def plain_json(hub):
    for version in ("mqttv311", "mqttv5"):
        message = {"ts": now_ms(), "values": {"smoke_alarm": 0, "battery_pct": 91}}
        acked, said = mosquitto(hub, "smoke-1", "s-smoke-1", "devices/smoke-1/telemetry", message, "-V", version)
        check(f"mosquitto_pub {version}: the hub's own JSON", acked, said)
    until("… is stored", lambda: hub.values("smoke-1", "battery_pct") == [91, 91])
    message = {"head": {"at": now_ms() // 1000}, "d": [{"v": "625"}, {"v": 6500}], "sn": "x"}
    acked, said = mosquitto(hub, "dust-1", "s-dust-1", "devices/dust-1/telemetry", message)
    check("mosquitto_pub: JSON of a maker, by pointers", acked, said)
    check("… scaled", hub.values("dust-1", "pm10_ugm3") == [62.5] and hub.values("dust-1", "temperature_c") == [25])
    acked, said = mosquitto(hub, "plain-1", "s-plain-1", "devices/plain-1/telemetry",
                            {"Time": now_ms(), "env": {"x": 1}, "pm10_ugm3": "61"})
    check("mosquitto_pub: JSON without a table", hub.values("plain-1", "pm10_ugm3") == [61], said)
    acked, said = mosquitto(hub, "smoke-1", "s-smoke-1", "devices/smoke-1/telemetry", b"\xff{", "-V", "mqttv5")
    check("mosquitto_pub version 5: no JSON is told with 0x99", "153" in said or "0x99" in said or "ormat" in said, said)
    acked, said = mosquitto(hub, "smoke-1", "s-smoke-1", "devices/dust-1/telemetry", {"fault": 1}, "-V", "mqttv5")
    check("… another's topic with 0x87", "uthoriz" in said or "135" in said, said)


def thingsboard_device(hub):
    """What ThingsBoard's documentation has its devices do: the token as the user, no password."""
    at = now_ms()
    message = [{"ts": at, "values": {"temperature_c": 42.2}}, {"ts": at + 1, "values": {"temperature_c": 42.5}}]
    acked, said = mosquitto(hub, "s-tb-1", None, "v1/devices/me/telemetry", message)
    check("mosquitto_pub: v1/devices/me/telemetry with a token", acked, said)
    check("… stored", hub.values("tb-1", "temperature_c") == [42.2, 42.5])
    got = []
    client = paho.Client(client_id="tb-1", protocol=paho.MQTTv311)
    client.username_pw_set("s-tb-1")
    client.on_message = lambda _c, _u, m: got.append((m.topic, json.loads(m.payload)))
    client.connect("127.0.0.1", hub.mqtt)
    client.loop_start()
    client.subscribe([("v1/devices/me/attributes", 1), ("v1/devices/me/attributes/response/+", 1),
                      ("v1/devices/me/rpc/request/+", 1)])
    client.publish("v1/devices/me/attributes", '{"battery_pct":77,"fw":"1.0"}', 1).wait_for_publish(10)
    until("paho: an attribute that is a metric", lambda: hub.values("tb-1", "battery_pct") == [77])
    client.publish("v1/devices/me/attributes/request/1", '{"sharedKeys":"a"}', 1)
    until("paho: the answer to a request for attributes", lambda: got and got[0][0].endswith("response/1"))
    got.clear()

    def obey(_client, _user, message):
        number = message.topic.rsplit("/", 1)[1]
        client.publish(f"v1/devices/me/rpc/response/{number}", '{"done":true}', 1)

    client.message_callback_add("v1/devices/me/rpc/request/+", obey)
    answer = hub.call("POST", "devices/tb-1/commands", {"command": "reboot", "args": {}})
    check("paho: an order is answered", answer.get("answer") == {"done": True}, answer)
    client.disconnect()
    client.loop_stop()


def thingsboard_gateway(hub):
    client = paho.Client(client_id="gw", protocol=paho.MQTTv311)
    client.username_pw_set("gw", "s-gw")
    client.connect("127.0.0.1", hub.mqtt)
    client.loop_start()
    at = now_ms()
    message = {"dust-2": [{"ts": at, "values": {"PM10": 625}}], "smoke-2": [{"ts": at, "values": {"smoke_alarm": 1}}]}
    sent = client.publish("v1/gateway/telemetry", json.dumps(message), 1)
    sent.wait_for_publish(10)
    check("paho: v1/gateway/telemetry", sent.is_published())
    check("… a child by its own profile", hub.values("dust-2", "pm10_ugm3") == [62.5])
    check("… another as it is", hub.values("smoke-2", "smoke_alarm") == [1])
    # In one connection without waiting: every PUBACK comes.
    sent = [client.publish("v1/gateway/telemetry", json.dumps({"smoke-2": [{"ts": at + n, "values": {"fault": 0}}]}), 1)
            for n in range(1, 2001)]
    for one in sent:
        one.wait_for_publish(30)
    until("paho: 2,000 messages in a row are acknowledged and stored", lambda: len(hub.points("smoke-2", "fault")) == 2000)
    client.disconnect()
    client.loop_stop()


def lorawan(hub):
    def rows(name):
        return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]

    # rfc 3339 of now, as the network servers write it.
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    for row in rows("chirpstack_v4"):
        up = json.loads(row["input_text"])
        if row["kind"] == "error":
            acked, said = mosquitto(hub, "lns", "s-lns", "application/1/device/a840415711866a85/event/up", up, "-V", "mqttv5")
            check(f"mosquitto_pub: ChirpStack {row['name']} is told to be none", said != "", said)
            continue
        up["time"] = now
        eui = up["deviceInfo"]["devEui"]
        topic = f"application/{up['deviceInfo']['applicationId']}/device/{eui}/event/up"
        hub.register([{"id": f"lora-{eui}", "kind": "smoke", "parent": "lns", "profile": "lht52",
                       "identities": {"dev_eui": eui.lower()}}])
        acked, said = mosquitto(hub, "lns", "s-lns", topic, up)
        check(f"mosquitto_pub: ChirpStack v4 {row['name']}", acked, said)
        if "TempC_SHT" in up.get("object", {}):
            check("… its temperature", hub.values(f"lora-{eui}", "temperature_c") == [up["object"]["TempC_SHT"]])
    for row in rows("tts_v3"):
        up = json.loads(row["input_text"])
        if row["kind"] == "error":
            continue
        up["received_at"] = up["uplink_message"]["received_at"] = now
        ids = up["end_device_ids"]
        application, device = ids["application_ids"]["application_id"], ids["device_id"]
        hub.register([{"id": "tts-1", "kind": "smoke", "parent": "lns", "profile": "tts",
                       "identities": {"tts_device": f"{application}/{device}"}}])
        acked, said = mosquitto(hub, "lns", "s-lns", f"v3/{application}@tenant/devices/{device}/up", up)
        check(f"mosquitto_pub: The Things Stack v3 {row['name']}", acked, said)
        decoded = up["uplink_message"]["decoded_payload"]
        stored = hub.values("tts-1", "temperature_c")
        check("… its value", stored == [decoded["temperature"]] if "temperature" in decoded else True, (decoded, stored))


def senml(hub):
    from kpn_senml import SenmlNames, SenmlPack, SenmlRecord, SenmlUnits

    pack = SenmlPack("urn:dev:station:")
    pack.base_time = time.time()
    pack.add(SenmlRecord("temperature", unit=SenmlUnits.SENML_UNIT_DEGREES_CELSIUS, value=21.5))
    pack.add(SenmlRecord("humidity", unit=SenmlUnits.SENML_UNIT_RELATIVE_HUMIDITY, value=47))
    pack.add(SenmlRecord("longitude", unit=SenmlUnits.SENML_UNIT_DEGREES_LONGITUDE, value=118.1))
    pack.add(SenmlRecord("latitude", unit=SenmlUnits.SENML_UNIT_DEGREES_LATITUDE, value=24.5))
    acked, said = mosquitto(hub, "pack-1", "s-pack-1", "devices/pack-1/telemetry", pack.to_json().encode())
    check("kpn-senml: JSON over MQTT", acked, said)
    check("… its values", hub.values("pack-1", "temperature_c") == [21.5] and hub.values("pack-1", "humidity_pct") == [47])
    check("… and a position of two records", len(hub.points("pack-1", "position")) == 1)
    pack.base_time += 1
    for name, body in [("JSON", pack.to_json().encode()), ("CBOR", None)]:
        if body is None:
            pack.base_time += 1
            body = bytes(pack.to_cbor())
        request = urllib.request.Request(
            f"http://127.0.0.1:{hub.ingest}/devices/pack-1/telemetry", method="POST", data=body,
            headers={"authorization": "Bearer s-pack-1"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            check(f"kpn-senml: {name} over HTTP", reply.status == 204, reply.status)
    check("… three packs, three positions", len(hub.points("pack-1", "position")) == 3)
    assert SenmlNames


def main(program):
    hub = Hub(program, more=PROFILES)
    hub.register([
        {"id": "smoke-1", "kind": "smoke", "secret": "s-smoke-1"},
        {"id": "dust-1", "kind": "dust", "secret": "s-dust-1", "profile": "dust_maker"},
        {"id": "plain-1", "kind": "dust", "secret": "s-plain-1", "profile": "plain"},
        {"id": "pack-1", "kind": "smoke", "secret": "s-pack-1", "profile": "pack"},
        {"id": "tb-1", "kind": "smoke", "secret": "s-tb-1"},
        {"id": "gw", "kind": "gateway", "secret": "s-gw"},
        {"id": "dust-2", "kind": "dust", "parent": "gw", "profile": "by_gateway"},
        {"id": "smoke-2", "kind": "smoke", "parent": "gw"},
        {"id": "lns", "kind": "gateway", "secret": "s-lns"},
    ])
    for part in (plain_json, thingsboard_device, thingsboard_gateway, lorawan, senml):
        part(hub)
    finish(hub)


PROFILES += """
[profiles.by_gateway]
codec = "json"
time = "/ts"
values.pm10_ugm3 = { at = "/values/PM10", scale = 0.1 }
"""
main(sys.argv[1])
