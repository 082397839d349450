#!/usr/bin/env python3
"""Has a real hub ask the RTSP server and hear the WS-Discovery of ipycam, a virtual ONVIF camera.

usage: camera_ipycam.py PATH_OF_CITYHUB

Needs ipycam 1.3 and opencv-python-headless (pip). Ends with a line that counts what held.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time

from gbfs_feeds import TOKEN, Hub, failed, held, hold


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(port):
    """Only the server: what it answers to OPTIONS needs no stream."""
    from ipycam.rtsp import NativeRTSPServer

    server = NativeRTSPServer(port=port, host="127.0.0.1")
    assert server.start(), "the RTSP server starts"
    print("serving", flush=True)
    time.sleep(600)


def main(program):
    port, web = free_port(), free_port()
    camera = subprocess.Popen([sys.executable, __file__, "--serve", str(port)], stdout=subprocess.PIPE, text=True)
    camera.stdout.readline()
    other = subprocess.Popen([sys.executable, "-m", "http.server", str(web), "--bind", "127.0.0.1"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as place:
        hub = Hub(program, place, f"""
data_dir = "data"
[http]
listen = "127.0.0.1:0"
[auth.tokens.admin]
token = "{TOKEN}"
role = "admin"
[drivers.probe]
kind = "camera_probe"
period_s = 1
backoff_max_s = 2
timeout_ms = 1000
""")
        try:
            hub.call("PUT", "devices", [
                {"id": "cam", "kind": "camera", "cadence_s": 1,
                 "identities": {"rtsp": f"rtsp://admin:admin@127.0.0.1:{port}/video_main"}},
                {"id": "web", "kind": "camera", "cadence_s": 1, "identities": {"rtsp": f"127.0.0.1:{web}"}}])
            hold("the camera is there", lambda: hub.last("cam", "online"), 1)
            hold("and is well", lambda: hub.last("cam", "fault"), 0)
            hold("a web server is no camera", lambda: hub.last("web", "online"), 0)
            hold("and is counted as what it is",
                 lambda: "wrong_service" in json.dumps(hub.call("GET", "ledger")), True)
            camera.kill()
            camera.wait()
            hold("the camera is gone", lambda: hub.last("cam", "online"), 0)
            camera = subprocess.Popen([sys.executable, __file__, "--serve", str(port)], stdout=subprocess.PIPE, text=True)
            hold("the camera is back", lambda: hub.last("cam", "online"), 1)
        finally:
            hub.process.terminate()
            hub.process.wait()
            camera.kill()
            other.kill()
    print(f"{len(held)} held, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(int(sys.argv[2]))
    sys.exit(main(sys.argv[1]))
