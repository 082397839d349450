#!/usr/bin/env python3
"""console_picture.py BASE USER PASSWORD PATH OUT.png TEXT: signs in at a console, opens PATH in chromium,
demands that the page shows TEXT, and takes its picture. Speaks the DevTools protocol over a pipe; no packages."""
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

base, user, password, path, out, text = sys.argv[1:]
body = json.dumps({"user": user, "password": password}).encode()
headers = {"Content-Type": "application/json", "X-Requested-By": "console"}
answer = urllib.request.urlopen(urllib.request.Request(f"{base}/api/v1/session", body, headers))
name, value = answer.headers["Set-Cookie"].split(";")[0].split("=", 1)

to_read, to_write = os.pipe()
from_read, from_write = os.pipe()


def ends():
    """Chromium reads from 3 and writes to 4."""
    one, other = os.dup(to_read), os.dup(from_write)
    os.dup2(one, 3)
    os.dup2(other, 4)


profile = tempfile.TemporaryDirectory()
chromium = subprocess.Popen(
    ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
     "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=zh-CN",
     "--window-size=1440,900", f"--user-data-dir={profile.name}", "about:blank"],
    preexec_fn=ends, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
replies, number, rest = os.fdopen(from_read, "rb", 0), 0, b""


def call(method, session=None, **params):
    """Sends a command and waits for its answer."""
    global number, rest
    number += 1
    message = {"id": number, "method": method, "params": params}
    if session:
        message["sessionId"] = session
    os.write(to_write, json.dumps(message).encode() + b"\0")
    while True:
        while b"\0" not in rest:
            rest += replies.read(1 << 20)
        line, rest = rest.split(b"\0", 1)
        said = json.loads(line)
        if said.get("id") == number:
            if "error" in said:
                sys.exit(f"{method}: {said['error']}")
            return said["result"]


try:
    target = call("Target.createTarget", url="about:blank")["targetId"]
    page = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    call("Network.setCookie", page, name=name, value=value, url=base)
    call("Emulation.setDeviceMetricsOverride", page, width=1440, height=900, deviceScaleFactor=1, mobile=False)
    call("Page.navigate", page, url=base + path)
    shown = ""
    for _ in range(150):
        time.sleep(0.2)
        result = call("Runtime.evaluate", page, expression="document.body ? document.body.innerText : ''")
        shown = result["result"].get("value", "")
        if text in shown:
            break
    time.sleep(1)
    picture = call("Page.captureScreenshot", page, format="png")["data"]
    with open(out, "wb") as file:
        file.write(base64.b64decode(picture))
    if text not in shown:
        sys.exit(f"the page does not show {text!r}:\n{shown}")
finally:
    chromium.kill()
    chromium.wait()
