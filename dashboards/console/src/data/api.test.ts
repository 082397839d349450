import { afterEach, expect, test, vi } from "vitest";
import { Problem, address, get, giveAccess, post, problemOf, tellClock } from "./api";
import { skewMs } from "./time";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function answering(...answers: (Response | Error)[]) {
  const asked: { url: string; init: RequestInit }[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push({ url, init });
    const next = answers.shift() ?? new Response("{}");
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
  });
  return asked;
}

const header = (init: RequestInit | undefined, name: string): string | null => (init?.headers as Headers).get(name);

test("empty filters are left out of an address", () => {
  expect(address("alarms", { state: "all", q: "", grid: null, limit: 5 })).toBe("/api/v1/alarms?state=all&limit=5");
});

test("a change says that the console asks, and has a key", async () => {
  const asked = answering(new Response('{"id":"a1"}'));
  giveAccess({ token: () => null, refused: () => undefined });
  await post("alarms/a1/ack", { version: 1 });
  expect(header(asked[0]?.init, "x-requested-by")).toBe("console");
  expect(header(asked[0]?.init, "idempotency-key")).toMatch(/^[0-9a-f]{32}$/);
  expect(header(asked[0]?.init, "authorization")).toBeNull();
});

test("a question that nobody answers is asked again, a change is not", async () => {
  vi.useFakeTimers();
  const asked = answering(new Error("down"), new Response("", { status: 503 }), new Response('{"ok":1}'));
  const answer = get("health");
  await vi.runAllTimersAsync();
  expect(await answer).toEqual({ ok: 1 });
  expect(asked.length).toBe(3);
  answering(new Error("down"));
  await expect(post("alarms/a1/ack", {}, { key: "k" })).rejects.toMatchObject({ status: 0, undelivered: true });
});

test("a refusal is told to the session once, unless it was the sign-in that was refused", async () => {
  const refused = vi.fn();
  giveAccess({ token: () => "t", refused });
  answering(new Response("{}", { status: 401 }), new Response("{}", { status: 401 }));
  await expect(get("alarms")).rejects.toBeInstanceOf(Problem);
  await expect(get("session", undefined, { quiet: true })).rejects.toBeInstanceOf(Problem);
  expect(refused).toHaveBeenCalledTimes(1);
});

test("a problem keeps its code, its number and its further members", () => {
  const problem = problemOf(409, '{"type":"https://cityhub/problems/conflict","title":"Conflict","status":409,"detail":"stale","request_id":"r1","version":4}');
  expect([problem.code, problem.requestId, problem.members.version, problem.undelivered]).toEqual(["conflict", "r1", 4, false]);
  expect(problemOf(502, "<html>").undelivered).toBe(true);
});

test("a clock that is wrong shows before anybody signs in, and a second more or less does not", () => {
  const now = Date.parse("2026-11-22T08:00:00.900Z");
  tellClock("Sun, 22 Nov 2026 08:00:00 GMT", now);
  tellClock(null, now);
  expect(skewMs.get()).toBe(0);
  tellClock("Sun, 22 Nov 2026 08:02:00 GMT", now);
  expect(skewMs.get()).toBe(119_600);
  skewMs.set(0);
});
