"""A real hub for the scripts here: started, asked over its API, stopped, and the count of what held."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

TOKEN = "admin-0123456789abcdef0123456789abcdef"
EVER = "from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z"
held, failed = [], []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Hub:
    """One data folder; may be stopped and started again on the same ports."""

    def __init__(self, program, more="", mqtt=""):
        self.program, self.folder = os.path.abspath(program), tempfile.mkdtemp()
        self.mqtt, self.ingest, self.http = free_port(), free_port(), free_port()
        with open(f"{self.folder}/hub.toml", "w") as file:
            file.write(f"""data_dir = "data"
[city]
name = "proof"
code = "350200"
time_zone = "Asia/Shanghai"
[http]
listen = "127.0.0.1:{self.http}"
[auth.tokens.admin]
token = "{TOKEN}"
role = "admin"
[drivers.mqtt]
kind = "mqtt"
listen = "127.0.0.1:{self.mqtt}"
{mqtt}
[drivers.ingest]
kind = "http"
listen = "127.0.0.1:{self.ingest}"
{more}
""")
        self.start()

    def start(self):
        args = [self.program, "run", "--config", "hub.toml"]
        self.process = subprocess.Popen(args, cwd=self.folder, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "ready" in line.split():
                break
        self.log = []
        self.reader = threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True)
        self.reader.start()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(60)

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            return {"status": error.code, **json.loads(error.read() or b"{}")}

    def register(self, devices):
        self.call("PUT", "devices", devices)

    def points(self, device, metric):
        """All values of a series: [milliseconds, value, quality]."""
        found, cursor = [], ""
        while True:
            page = self.call("GET", f"devices/{device}/readings?metric={metric}&{EVER}{cursor}")
            found += page["points"]
            if not page.get("next"):
                return found
            cursor = f"&cursor={page['next']}"

    def values(self, device, metric):
        return [point[1] for point in self.points(device, metric)]

    def counts(self, device):
        rows = self.call("GET", "ledger")["devices"]
        rows = rows.items() if isinstance(rows, dict) else ((r.get("device") or r.get("id"), r) for r in rows)
        return dict(rows).get(device, {})

    def rejected(self, device):
        return self.counts(device).get("rejected", {})


def until(what, question, patience=30):
    """Asks until the answer is true, and prints it."""
    deadline, seen = time.time() + patience, None
    while time.time() < deadline:
        seen = question()
        if seen:
            break
        time.sleep(0.1)
    return check(what, bool(seen), seen)


def check(what, is_so, seen=""):
    (held if is_so else failed).append(what)
    print(f"{'held  ' if is_so else 'FAILED'} {what}: {seen}", flush=True)
    return is_so


def finish(hub=None):
    if hub is not None:
        check("the hub stops by itself", hub.stop() == 0)
        verify = [hub.program, "verify", "--config", "hub.toml"]
        verdict = subprocess.run(verify, cwd=hub.folder, capture_output=True, text=True)
        check("the journal is whole", verdict.returncode == 0, verdict.stdout.strip().splitlines()[-1:])
    print(f"{len(held)} held, {len(failed)} failed")
    sys.exit(1 if failed else 0)
