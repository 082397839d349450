#!/usr/bin/env python3
"""Takes what a hub sends by OTLP with OpenTelemetry's own messages, and demands that it is whole and true.

usage: otlp.py PATH_OF_CITYHUB

Needs opentelemetry-proto (pip). Ends with a line that counts what held.
"""

import http.client
import json
import statistics
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hub import TOKEN, Hub, check, finish, free_port, until
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = "00-11111111111111111111111111111111-00f067aa0ba902b7-00"
SECRET = "whsec_" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
KINDS = {"/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
         "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse)}
spans, pages, requests, hooks, wrong, lines = [], [], [], [], [], {}
answer = {"status": 200, "hang": False, "dead": False}


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        requests.append((time.time(), self.path, dict(self.headers)))
        if answer["dead"]:
            self.close_connection = True
            self.connection.close()
            return
        if answer["hang"]:
            time.sleep(3600)
        if answer["status"] != 200:
            self.send_response(answer["status"])
            self.send_header("content-length", "0")
            self.end_headers()
            return
        read, reply = KINDS[self.path]
        if self.headers["content-type"] != "application/x-protobuf":
            wrong.append(self.headers["content-type"])
        message = read()
        message.ParseFromString(body)
        # Nothing that these definitions do not know, and nothing that they would write in another way.
        if message.SerializeToString(deterministic=True) != read.FromString(body).SerializeToString(deterministic=True):
            wrong.append("not stable")
        if message.ByteSize() != len(body):
            wrong.append(f"{len(body)} bytes, {message.ByteSize()} understood")
        if self.path == "/v1/traces":
            for of in message.resource_spans:
                resource = {a.key: a.value.string_value for a in of.resource.attributes}
                for scope in of.scope_spans:
                    spans.extend((resource, scope.scope.name, span) for span in scope.spans)
        else:
            for of in message.resource_metrics:
                for scope in of.scope_metrics:
                    pages.append({metric.name: metric for metric in scope.metrics})
        out = reply().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        hooks.append((self.headers.get("traceparent"), json.loads(body)))
        self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()


def serve(port, handler):
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def post(hub, device, values, ts=None, traceparent=None):
    headers = {"authorization": f"Bearer secret-{device}", "content-type": "application/json"}
    if traceparent:
        headers["traceparent"] = traceparent
    body = json.dumps({"ts": ts or int(time.time() * 1000), "values": values}).encode()
    # One connection for all, as a gateway has it.
    line = lines.setdefault(hub.ingest, http.client.HTTPConnection("127.0.0.1", hub.ingest, timeout=30))
    begun = time.perf_counter()
    line.request("POST", f"/devices/{device}/telemetry", body, headers)
    reply = line.getresponse()
    assert reply.status == 204, (reply.status, reply.read())
    reply.read()
    return time.perf_counter() - begun


def figures(hub):
    request = urllib.request.Request(
        f"http://127.0.0.1:{hub.http}/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    page = urllib.request.urlopen(request, timeout=30).read().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in page if not line.startswith("#"))


def of(trace):
    return {span.name: span for _, _, span in spans if span.trace_id.hex() == trace}


def main(program):
    collected, received = free_port(), free_port()
    collector = serve(collected, Collector)
    serve(received, Receiver)
    hub = Hub(program, more=f"""
[sinks.city]
kind = "webhook"
url = "http://127.0.0.1:{received}/"
secret = "{SECRET}"
[telemetry.otlp]
endpoint = "http://127.0.0.1:{collected}/"
headers = {{ x-tenant = "city" }}
trace_ratio = 0.0
metrics_every_s = 1
""")
    hub.register([{"id": "gas-1", "kind": "gas_pressure", "secret": "secret-gas-1"}])
    hub.call("PUT", "rules/over", {"title": "over", "kind": "threshold", "devices": ["gas-1"],
                                   "metric": "pressure_kpa", "above": 400.0, "severity": "critical"})

    # One message whose sender records it, which raises an alarm that a webhook takes.
    post(hub, "gas-1", {"pressure_kpa": 450.0, "battery_pct": 80.0}, traceparent=PARENT)
    trace, parent = PARENT.split("-")[1:3]
    until("every part of the way is recorded", lambda: {"intake", "queue", "rules", "commit", "event", "deliver"}
          <= set(of(trace)) and sorted(of(trace)))
    way = of(trace)
    check("the intake hangs below the sender's span", way["intake"].parent_span_id.hex() == parent)
    inner = ["queue", "rules", "commit", "event"]
    check("the parts hang below the intake",
          all(way[name].parent_span_id == way["intake"].span_id for name in inner))
    events = {span.span_id for _, _, span in spans if span.name == "event"}
    check("the delivery hangs below an event", way["deliver"].parent_span_id in events)
    check("kinds are those of a server and a client", (way["intake"].kind, way["deliver"].kind, way["queue"].kind)
          == (2, 3, 1))
    sent = {f"00-{trace}-{span.span_id.hex()}-01" for _, _, span in spans if span.name == "deliver"}
    told = {given for given, _ in hooks if given}
    check("the webhook is handed the delivery's own span", told == sent and len(told) > 0, len(told))
    raised = [given for given, event in hooks if event["type"] == "cityhub.alarm.raised"]
    check("with the event that came of the message", len(raised) == 1 and raised[0] in told)
    plain = {event["type"] for given, event in hooks if not given}
    check("what came of no recorded message is handed none", "cityhub.alarm.raised" not in plain, sorted(plain))
    ordered = [way["queue"].start_time_unix_nano, way["rules"].start_time_unix_nano,
               way["commit"].start_time_unix_nano, way["event"].start_time_unix_nano]
    check("its parts begin one after the other", ordered == sorted(ordered))
    check("no part ends before it begins",
          all(span.start_time_unix_nano <= span.end_time_unix_nano for span in way.values()))
    away_s = abs(way["intake"].start_time_unix_nano / 1e9 - time.time())
    check("times are those of the wall clock", away_s < 60, f"{away_s:.1f} s ago")
    said = {a.key: a.value.string_value or a.value.int_value for a in way["intake"].attributes}
    check("the intake says what came", said == {"cityhub.driver": "ingest", "cityhub.values.received": 2,
                                                "cityhub.values.stored": 2, "cityhub.values.duplicate": 0}, said)
    ids = {span.span_id for _, _, span in spans}
    check("ids are of the right length and unique", len(ids) == len(spans)
          and all(len(span.trace_id) == 16 and len(span.span_id) == 8 for _, _, span in spans))
    check("the resource names the service", spans[0][0].get("service.name") == "cityhub" and spans[0][1] == "cityhub",
          spans[0][0])
    check("the headers of the configuration are sent", requests[0][2].get("x-tenant") == "city")
    post(hub, "gas-1", {"pressure_kpa": 300.0}, traceparent=UNSAMPLED)
    post(hub, "gas-1", {"pressure_kpa": 301.0}, traceparent="00-nonsense")
    post(hub, "gas-1", {"pressure_kpa": 302.0})

    # The figures: the same as on the page of Prometheus.
    seen = len(pages)
    until("figures come every second", lambda: len(pages) > seen + 1)
    check("what was not to be recorded is not", {span.trace_id.hex() for _, _, span in spans} == {trace})
    page, prometheus = pages[-1], figures(hub)
    names = {name.split("{")[0] for name in prometheus}
    names = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
             if name.split("_bucket")[0] in page or name.removesuffix("_sum") in page or name.removesuffix("_count") in page
             else name for name in names}
    check("both pages have the same figures", names == set(page), names ^ set(page))
    stored = page["cityhub_values_stored_total"].sum
    total = {p.attributes[0].value.string_value: p.as_int for p in stored.data_points}
    check("a counter is cumulative and only grows", stored.is_monotonic and stored.aggregation_temporality == 2)
    check("it counts what Prometheus counts",
          total["ingest"] == int(prometheus['cityhub_values_stored_total{driver="ingest"}']), total)
    commits = page["cityhub_commit_seconds"]
    point = commits.histogram.data_points[0]
    check("a histogram adds up", point.count == sum(point.bucket_counts) and point.count > 0
          and len(point.bucket_counts) == len(point.explicit_bounds) + 1 and commits.unit == "s", point.count)
    check("the collector understood every byte", not wrong, wrong)

    # A collector that is away, that is busy, and that hangs: nobody else may notice.
    def burst(n, **more):
        return [post(hub, "gas-1", {"pressure_kpa": 300.0 + i % 50}, traceparent=more.get("traceparent")) for i in range(n)]

    plain = statistics.median(burst(200))
    answer["dead"] = True
    collector.shutdown()
    collector.server_close()
    dead = statistics.median(burst(1500, traceparent=PARENT))
    check("senders do not wait for a collector that is away", dead < 3 * plain + 0.005,
          f"median {plain * 1000:.1f} ms before, {dead * 1000:.1f} ms without it, every message recorded")
    until("spans that found no room are counted",
          lambda: int(figures(hub)['cityhub_otlp_spans_total{outcome="dropped"}']) > 0
          and figures(hub)['cityhub_otlp_spans_total{outcome="dropped"}'])
    until("failed requests are counted",
          lambda: int(figures(hub)['cityhub_otlp_exports_total{signal="traces",outcome="failed"}']) > 0)
    told = [line for line in hub.log if "does not take telemetry" in line]
    check("the log says so once a signal", 1 <= len(told) <= 2, len(told))
    answer.update(dead=False, status=503)
    before, asked = len(spans), len(requests)
    collector = serve(collected, Collector)
    until("it is asked again when it is back", lambda: len(requests) > asked, 60)
    answer["status"] = 200
    until("what waited is sent when it takes it", lambda: len(spans) > before, 60)
    stored = hub.counts("gas-1")
    check("nothing was lost by it", stored["received"] == stored["stored"] + stored["duplicate"]
          and stored["received"] == 5 + 200 + 1500, stored)
    answer["hang"] = True
    hung = statistics.median(burst(200, traceparent=PARENT))
    check("nor for one that hangs", hung < 3 * plain + 0.005, f"median {hung * 1000:.1f} ms")
    begun = time.time()
    check("the hub stops though the collector hangs", hub.stop() == 0 and time.time() - begun < 20,
          f"{time.time() - begun:.1f} s")
    finish()


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
