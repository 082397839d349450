#!/usr/bin/env python3
"""Serves the GBFS feeds of an operator to a real hub, once gbfs-validator has found them right.

usage: gbfs_feeds.py PATH_OF_CITYHUB

Needs gbfs-validator 0.1 (pip). The feeds are served by Python's own http.server, which answers 304 to
If-Modified-Since. Ends with a line that counts what held.
"""

import datetime
import functools
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TOKEN = "admin-0123456789abcdef0123456789abcdef"
held, failed, asked = [], [], []


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def ring(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def name(text):
    return [{"text": text, "language": "zh"}]


def feeds(base, bikes):
    """A station, so many free bikes in a zone where no ride may end, and one outside of it."""
    names = ["system_information", "vehicle_types", "station_information", "station_status",
             "vehicle_status", "geofencing_zones"]
    bike = {"is_reserved": False, "is_disabled": False, "vehicle_type_id": "bike", "last_reported": now()}
    inside = [{"vehicle_id": f"in-{n}", "lat": 24.481, "lon": 118.089 + n / 1e5, **bike} for n in range(bikes)]
    outside = {"vehicle_id": "out-1", "lat": 24.49, "lon": 118.2, **bike}
    lake = {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": [[ring(118.08, 24.48, 118.09, 24.49)]]},
        "properties": {"name": name("湖滨"), "rules": [
            {"ride_start_allowed": True, "ride_end_allowed": False, "ride_through_allowed": True}]},
    }
    data = {
        "gbfs": {"feeds": [{"name": n, "url": f"{base}/{n}.json"} for n in names]},
        "system_information": {
            "system_id": "op", "languages": ["zh"], "name": name("示范单车"), "timezone": "Asia/Shanghai",
            "opening_hours": "24/7", "feed_contact_email": "feeds@example.com"},
        "vehicle_types": {"vehicle_types": [
            {"vehicle_type_id": "bike", "form_factor": "bicycle", "propulsion_type": "human"}]},
        "station_information": {"stations": [
            {"station_id": "86", "name": name("轮渡"), "lat": 24.455, "lon": 118.07, "capacity": 20}]},
        "station_status": {"stations": [
            {"station_id": "86", "num_vehicles_available": 7, "num_vehicles_disabled": 1,
             "num_docks_available": 12, "is_installed": True, "is_renting": True, "is_returning": True,
             "last_reported": now(), "vehicle_types_available": [{"vehicle_type_id": "bike", "count": 7}]}]},
        "vehicle_status": {"vehicles": inside + [outside]},
        "geofencing_zones": {
            "geofencing_zones": {"type": "FeatureCollection", "features": [lake]},
            "global_rules": [
                {"ride_start_allowed": True, "ride_end_allowed": True, "ride_through_allowed": True}]},
    }
    return {n: {"last_updated": now(), "ttl": 1, "version": "3.0", "data": d} for n, d in data.items()}


def write(folder, base, bikes):
    for feed, content in feeds(base, bikes).items():
        with open(f"{folder}/{feed}.part", "w") as file:
            json.dump(content, file)
        os.rename(f"{folder}/{feed}.part", f"{folder}/{feed}.json")


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        asked.append((self.path, int(code)))

    def log_message(self, *args):
        pass


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


def hold(what, question, expected, patience=30):
    deadline, seen = time.time() + patience, None
    while time.time() < deadline:
        seen = question()
        if seen == expected:
            break
        time.sleep(0.2)
    (held if seen == expected else failed).append(what)
    print(f"{'holds' if seen == expected else 'FAILS'}: {what}: {seen}")


def main(program):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as place:
        handler = functools.partial(Handler, directory=folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        write(folder, base, 3)
        validator = [sys.executable, "-m", "gbfs_validator.cli", "-u", f"{base}/gbfs.json", "--fail-on-error"]
        checked = subprocess.run(validator, capture_output=True, text=True)
        hold("gbfs-validator finds the feeds right", lambda: checked.returncode, 0, 1)
        if checked.returncode:
            print(checked.stdout[:4000], checked.stderr[:2000])
        hub = Hub(program, place, f"""
data_dir = "data"
[http]
listen = "127.0.0.1:0"
[auth.tokens.admin]
token = "{TOKEN}"
role = "admin"
[drivers.op]
kind = "gbfs"
url = "{base}/gbfs.json"
period_min_s = 1
""")
        try:
            hub.call("PUT", "devices", [
                {"id": "op-a", "kind": "gateway", "identities": {"gbfs": "op"}},
                {"id": "rack", "kind": "bike_fence", "tags": {"capacity": "20"}, "identities": {"gbfs": "op/86"}},
                {"id": "lake", "kind": "bike_fence", "identities": {"gbfs": "op/zone:湖滨"}}])
            hub.call("PUT", "rules/left_in_zone", {
                "kind": "threshold", "title": "禁停区停放", "select": {"kind": "bike_fence"},
                "metric": "parked_wrongly", "above": 4, "severity": "warning"})
            hold("the station", lambda: hub.last("rack", "parked_count"), 8)
            hold("the operator's count", lambda: hub.last("op-a", "parked_count"), 4)
            hold("those in the zone", lambda: hub.last("lake", "parked_wrongly"), 3)
            time.sleep(2)
            write(folder, base, 5)
            hold("two more in the zone", lambda: hub.last("lake", "parked_wrongly"), 5)
            hold("its alarm", lambda: [a["device"] for a in hub.call("GET", "alarms")["items"]], ["lake"])
            hold("what is not new is not sent again", lambda: any(code == 304 for _, code in asked), True)
            os.remove(f"{folder}/vehicle_status.json")
            hold("a feed that is gone is counted",
                 lambda: "http_404" in json.dumps(hub.call("GET", "ledger")), True)
        finally:
            hub.process.terminate()
            hub.process.wait()
    print(f"{len(held)} held, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
