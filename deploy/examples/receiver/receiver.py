#!/usr/bin/env python3
"""Receives the events of a cityhub by webhook: a start for a platform of your own.

It checks the signature (Standard Webhooks), drops repeats by id, stores each event before it
answers, and says so when a sequence number goes backwards. Python 3.8 or later, nothing to install.

    receiver.py --secret whsec_... [--listen 127.0.0.1:9000] [--store events.db] [--token T]
"""

import argparse
import base64
import hashlib
import hmac
import json
import sqlite3
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

# A request that is older or newer than this may be an old one that somebody recorded.
TOLERANCE_S = 300
BODY_BYTES_MAX = 1024 * 1024


class Refused(Exception):
    """The request is not the hub's, or not to be read: the hub parks it and goes on."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def key_of(secret):
    """whsec_<base64> to bytes."""
    if not secret.startswith("whsec_"):
        raise SystemExit("a secret begins with whsec_")
    return base64.b64decode(secret[len("whsec_"):])


def signature(key, message_id, timestamp, body):
    """v1,<base64 of HMAC-SHA256 over id.timestamp.body>"""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(keys, headers, body, now):
    """Raises Refused unless one of the keys signed this request, just now."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")
    if not message_id or not timestamp.isdigit():
        raise Refused(400, "webhook-id or webhook-timestamp is missing")
    if abs(now - int(timestamp)) > TOLERANCE_S:
        raise Refused(400, "webhook-timestamp is too far from now; check both clocks")
    for key in keys:
        expected = signature(key, message_id, timestamp, body)
        if any(hmac.compare_digest(expected, one) for one in given):
            return
    raise Refused(401, "no signature fits")


class Store:
    """Every event once, in the order of its sequence."""

    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS event (source TEXT, id TEXT, sequence TEXT, type TEXT,"
            " subject TEXT, time TEXT, json TEXT, PRIMARY KEY (source, id))"
        )

    def last(self):
        return self.db.execute("SELECT max(sequence) FROM event").fetchone()[0] or ""

    def put(self, events):
        """Stores what is new, all of it or nothing; gives (new, repeated)."""
        new = 0
        with self.db:
            for event in events:
                sequence = event.get("sequence", "")
                row = self.db.execute(
                    "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        event["source"],
                        event["id"],
                        sequence,
                        event["type"],
                        event.get("subject"),
                        event.get("time"),
                        json.dumps(event, ensure_ascii=False),
                    ),
                )
                new += row.rowcount
        return new, len(events) - new


def read_events(media, body):
    """One event (structured mode) or a list of them (batch mode)."""
    media = media.split(";")[0].strip().lower()
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Refused(400, f"no JSON: {error}") from error
    if media == "application/cloudevents+json":
        value = [value]
    elif media != "application/cloudevents-batch+json":
        raise Refused(415, f"{media} is no CloudEvents JSON")
    for event in value:
        if event.get("specversion") != "1.0" or not event.get("id") or not event.get("source"):
            raise Refused(422, "not a CloudEvent 1.0")
    return value


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # The hub keeps its connection.

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer(413, "too large")
        body = self.rfile.read(length)
        try:
            token = self.server.token
            if token and self.headers.get("authorization") != f"Bearer {token}":
                raise Refused(401, "wrong token")
            verify(self.server.keys, self.headers, body, time.time())
            events = read_events(self.headers.get("content-type", ""), body)
            before = self.server.store.last()
            new, repeated = self.server.store.put(events)
        except Refused as refused:
            return self.answer(refused.status, str(refused))
        except sqlite3.Error as error:
            # Ours, and perhaps over soon: any 5xx makes the hub come again with the same events.
            return self.answer(503, f"cannot store: {error}")
        first = events[0].get("sequence", "") if events else ""
        if new and first < before:
            print(f"event {first} after {before}: sent again by hand", file=sys.stderr)
        for event in events:
            # Here your own work begins. Do it after the answer if it takes long.
            print(event["sequence"], event["type"], event.get("subject"), flush=True)
        # Only now is it safe to answer: everything is on disk.
        return self.answer(200, f"{new} new, {repeated} known")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *args):
        print(form % args, file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secret", action="append", required=True, help="twice during a rotation")
    parser.add_argument("--listen", default="127.0.0.1:9000")
    parser.add_argument("--store", default="events.db")
    parser.add_argument("--token", help="also ask for Authorization: Bearer")
    args = parser.parse_args()
    host, port = args.listen.rsplit(":", 1)
    # One request at a time: the hub sends the next one after the answer to this one.
    server = HTTPServer((host, int(port)), Receiver)
    server.keys = [key_of(secret) for secret in args.secret]
    server.token = args.token
    server.store = Store(args.store)
    print(f"listening on {server.server_address[0]}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
