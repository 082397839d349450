import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepOpen } from "./source";

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function hub() {
  const asked: { url: string; headers: Headers; write: (text: string) => void; end: () => void }[] = [];
  let status = 200;
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    let writer: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({ start: (controller) => { writer = controller; } });
    init.signal?.addEventListener("abort", () => { try { writer?.error(new Error("aborted")); } catch { /* it has ended */ } });
    asked.push({
      url, headers: init.headers as Headers, write: (text) => writer?.enqueue(new TextEncoder().encode(text)), end: () => writer?.close(),
    });
    return Promise.resolve(new Response(status === 200 ? body : null, { status }));
  });
  const heard: string[] = [];
  const on = {
    open: () => heard.push("open"), lost: () => heard.push("lost"), refused: (code: number) => heard.push(`refused ${code}`),
    event: (event: { id: string | null }) => heard.push(`event ${event.id}`),
  };
  return { asked, heard, on, answer: (next: number) => { status = next; } };
}

const settle = (ms = 0): Promise<void> => vi.advanceTimersByTimeAsync(ms).then(() => undefined);

test("a connection that ends goes on behind the last event that was heard", async () => {
  const h = hub();
  const source = keepOpen({ address: "/s", token: "t", from: 5, random: () => 0.5 }, h.on);
  await settle();
  expect([h.asked[0]?.url, h.asked[0]?.headers.get("authorization")]).toEqual(["/s?from=5", "Bearer t"]);
  h.asked[0]?.write("id: 9\nevent: x\ndata: 1\n\n");
  await settle();
  h.asked[0]?.end();
  await settle(1_000);
  expect(h.heard).toEqual(["open", "event 9", "lost", "open"]);
  expect(h.asked[1]?.headers.get("last-event-id")).toBe("9");
  source.stop();
});

test("an open connection that is silent for four beats is given up", async () => {
  const h = hub();
  const source = keepOpen({ address: "/s", token: null, from: 0, random: () => 0.5 }, h.on);
  await settle(19_000);
  expect(h.heard).toEqual(["open"]);
  await settle(3_500);
  expect(h.heard).toEqual(["open", "lost", "open"]);
  source.stop();
});

test("who is not wanted is told so and does not try again", async () => {
  const h = hub();
  h.answer(401);
  keepOpen({ address: "/s", token: null, from: 0 }, h.on);
  await settle(60_000);
  expect([h.heard, h.asked.length]).toEqual([["refused 401"], 1]);
});

test("tries become rarer, but never rarer than some seconds", async () => {
  const h = hub();
  h.answer(503);
  const source = keepOpen({ address: "/s", token: null, from: 0, random: () => 0.5 }, h.on);
  await settle(3_100);
  expect(h.asked.length).toBe(3);
  await settle(60_000);
  expect(h.asked.length).toBeGreaterThan(8);
  source.stop();
});
