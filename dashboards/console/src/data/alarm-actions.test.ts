import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AlarmActs, UNDELIVERED_MS, changed, possible } from "./alarm-actions";
import { Problem } from "./api";
import type { Alarm, AlarmState } from "./rows";

const row = (version: number, state: AlarmState = "active_unacked", more: Partial<Alarm> = {}): Alarm =>
  ({ id: "a1", version, state, severity: "critical", acked: state.endsWith("_acked"), owner: null, ...more }) as Alarm;

interface Asked { key: string; answer: (row: Alarm) => void; fail: (problem: Problem) => void }

function desk() {
  const asked: Asked[] = [];
  const taken: Alarm[] = [];
  let nowMs = 0;
  const acts = new AlarmActs({
    act: (_id, _action, _body, key) => new Promise((answer, fail) => { asked.push({ key, answer, fail }); }),
    bulk: () => Promise.reject(new Error("not asked")),
    take: (found) => { taken.push(found); },
    now: () => nowMs,
  });
  return { acts, asked, taken, state: () => acts.acts.get().get("a1")?.state, pass: (ms: number) => { nowMs += ms; } };
}

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

test("an act is done when the hub says so, not before", async () => {
  const d = desk();
  const done = d.acts.act(row(1), "ack", {});
  expect(d.state()).toBe("sending");
  d.asked[0]?.answer(row(2, "active_acked"));
  expect(await done).toBe(true);
  expect(d.state()).toBeUndefined();
  expect(d.taken.map((one) => one.version)).toEqual([2]);
});

test("after three seconds without an answer the row says so, and a late answer still counts", async () => {
  const d = desk();
  const done = d.acts.act(row(1), "ack", {});
  vi.advanceTimersByTime(UNDELIVERED_MS);
  expect(d.state()).toBe("undelivered");
  d.asked[0]?.answer(row(2, "active_acked"));
  await done;
  expect(d.state()).toBeUndefined();
});

test("a retry carries the key of the first try, so that it acts once", async () => {
  const d = desk();
  const first = d.acts.act(row(1), "ack", {});
  d.asked[0]?.fail(new Problem(0, "unreachable", "", ""));
  expect(await first).toBe(false);
  expect(d.state()).toBe("undelivered");
  void d.acts.retry("a1");
  expect(d.asked.map((one) => one.key === d.asked[0]?.key)).toEqual([true, true]);
  expect(d.state()).toBe("sending");
});

test("two clicks are one act", () => {
  const d = desk();
  void d.acts.act(row(1), "ack", {});
  void d.acts.act(row(1), "ack", {});
  expect(d.asked.length).toBe(1);
});

test("a stale version is a conflict, and the answer's row is taken", async () => {
  const d = desk();
  const done = d.acts.act(row(1), "ack", {});
  d.asked[0]?.fail(new Problem(409, "conflict", "", "", "", { alarm: row(5) }));
  await done;
  expect(d.state()).toBe("conflict");
  expect(d.taken.map((one) => one.version)).toEqual([5]);
});

test("what the stream shows as done is no longer undelivered; other news does not say so", async () => {
  const d = desk();
  const done = d.acts.act(row(1), "ack", {});
  d.asked[0]?.fail(new Problem(503, "busy", "", ""));
  await done;
  d.acts.settle(row(2, "active_unacked"));
  expect(d.state()).toBe("undelivered");
  d.acts.settle(row(3, "active_acked"));
  expect(d.state()).toBeUndefined();
});

test("what was decided more than a minute ago is to be decided again", async () => {
  const d = desk();
  const done = d.acts.act(row(1), "ack", {});
  d.asked[0]?.fail(new Problem(0, "unreachable", "", ""));
  await done;
  const act = d.acts.acts.get().get("a1");
  d.pass(60_000);
  expect(act && d.acts.isStale(act)).toBe(false);
  d.pass(1);
  expect(act && d.acts.isStale(act)).toBe(true);
});

test("a refusal is told", async () => {
  const d = desk();
  const done = d.acts.act(row(1), "shelve", {});
  d.asked[0]?.fail(new Problem(403, "forbidden", "", ""));
  await done;
  expect(d.state()).toBe("refused");
});

test("what can be done follows the state", () => {
  expect(possible(row(1, "latched_acked"))).toContain("reset");
  expect(possible(row(1, "active_acked"))).not.toContain("ack");
  expect(possible(row(1, "shelved"))).toContain("unshelve");
  expect(possible(row(1, "normal"))).toEqual(["comment"]);
});

test("a conflict names what changed", () => {
  expect(changed(row(1), row(2, "active_acked", { owner: "b" }))).toEqual(["state", "owner"]);
  expect(changed(row(1), row(2))).toEqual([]);
});
