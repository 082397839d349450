"""A platform that pushes for a thousand devices at once, beside peers that never finish a body.

    push_load.py HOST PORT PATH [PUSHES] [DRIPPERS]

Shares nothing with the hub. DRIPPERS connections send the head of a push and then a byte of its body every
half second; when all of them do, PUSHES connections send one whole push each, of the devices p-0, p-1 …, all at
the same time. Prints one JSON object: how often each was answered by which status, and how long pushes took.
"""

import asyncio
import json
import sys
import time

PATIENCE_S = 60


def head(path: str, length: int) -> bytes:
    return (f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\n\r\n").encode()


async def status(reader: asyncio.StreamReader) -> str:
    """Reads the status of an answer; nothing where the hub hung up."""
    line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
    return line.split(b" ")[1].decode() if line else "closed"


async def drip(host: str, port: int, path: str, begun: asyncio.Semaphore) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(head(path, 1000) + b"{")
    await writer.drain()
    begun.release()
    answer = asyncio.ensure_future(status(reader))
    while not answer.done():
        try:
            writer.write(b" ")
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.wait([answer], timeout=0.5)
    try:
        return await answer
    except ConnectionError:
        return "closed"
    finally:
        writer.close()


async def push(host: str, port: int, path: str, number: int, at: int) -> tuple[str, float]:
    body = json.dumps({
        "messageType": "dataReport", "deviceId": f"p-{number}", "IMEI": "undefined", "timestamp": at + number,
        "upPacketSN": -1, "payload": {"serviceId": "s", "serviceData": {"fault": 0, "battery_pct": number % 100}},
    }).encode()
    reader, writer = await asyncio.open_connection(host, port)
    begun = time.monotonic()
    writer.write(head(path, len(body)) + body)
    answer = await status(reader)
    took = time.monotonic() - begun
    writer.close()
    return answer, took


def counted(answers: list[str]) -> dict[str, int]:
    return {answer: answers.count(answer) for answer in sorted(set(answers))}


async def main() -> None:
    host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    pushes, drippers = (int(text) for text in (sys.argv[4:] + ["1000", "1000"])[:2])
    begun = asyncio.Semaphore(0)
    drips = [asyncio.ensure_future(drip(host, port, path, begun)) for _ in range(drippers)]
    for _ in range(drippers):
        await begun.acquire()
    at = int(time.time() * 1000) - 10_000
    answered = await asyncio.gather(*(push(host, port, path, number, at) for number in range(pushes)))
    ended = await asyncio.gather(*drips)
    took = sorted(seconds for _, seconds in answered)
    share = lambda part: round(took[min(len(took) - 1, int(len(took) * part))] * 1000)
    print(json.dumps({
        "pushes": counted([answer for answer, _ in answered]), "drippers": counted(ended),
        "p50_ms": share(0.5), "p99_ms": share(0.99), "max_ms": share(1.0),
    }))


asyncio.run(main())
