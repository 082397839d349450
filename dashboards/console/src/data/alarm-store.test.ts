import { expect, test } from "vitest";
import { compareAlarms } from "./alarm-order";
import { AlarmStore, NORMAL_STAYS_MS, readAlarms } from "./alarm-store";
import type { Alarm, AlarmPage, AlarmState } from "./rows";

const row = (id: string, version: number, state: AlarmState = "active_unacked", more: Partial<Alarm> = {}): Alarm => ({
  id, version, state, severity: "critical", raised_at: "2026-03-01T00:00:00.000Z", announced_at: null, active: true, shadow: false, device: "d", rule: "r", count: 1, ...more,
}) as Alarm;

const page = (items: Alarm[], as_of_seq = 1): AlarmPage => ({
  items, as_of_seq, next: null,
  counts: { total: items.length, severity: { critical: 0, major: 0, minor: 0, warning: 0 }, state: {} },
});

test("an older row never replaces a newer one, from wherever it comes", () => {
  const store = new AlarmStore(() => 0);
  store.take([row("a", 3, "active_acked")]);
  store.load(page([row("a", 2)]));
  expect(store.get("a")?.version).toBe(3);
  store.take([row("a", 3, "shelved")]);
  expect(store.get("a")?.state).toBe("active_acked");
});

test("what a snapshot no longer holds is gone", () => {
  const store = new AlarmStore(() => 0);
  store.load(page([row("a", 1), row("b", 1)]));
  store.load(page([row("b", 1)]));
  expect(store.rows().map((r) => r.id)).toEqual(["b"]);
});

test("an alarm that became normal stays for ten minutes and no longer", () => {
  let now = 0;
  const store = new AlarmStore(() => now);
  store.take([row("a", 1)]);
  store.take([row("a", 2, "normal")]);
  now = NORMAL_STAYS_MS - 1;
  store.sweep();
  expect(store.get("a")?.state).toBe("normal");
  now = NORMAL_STAYS_MS;
  store.sweep();
  expect(store.get("a")).toBeUndefined();
});

test("an alarm that was never seen open does not appear as over", () => {
  const store = new AlarmStore(() => 0);
  store.take([row("a", 9, "normal")]);
  expect(store.rows()).toEqual([]);
});

test("news tells what the row was before, and a snapshot is no news", () => {
  const store = new AlarmStore(() => 0);
  const heard: (string | undefined)[][] = [];
  store.onNews((news) => heard.push(news.map(({ before }) => before?.state)));
  store.load(page([row("a", 1)]));
  store.take([row("a", 2, "active_acked"), row("b", 1)]);
  expect(heard).toEqual([["active_unacked", undefined]]);
});

test("a flood begins above ten in ten minutes and ends below five", () => {
  let now = Date.parse("2026-03-01T00:00:00.000Z");
  const store = new AlarmStore(() => now);
  const at = (n: number) => new Date(now + n).toISOString();
  for (let i = 0; i < 10; i += 1) store.take([row(`a${i}`, 1, "active_unacked", { announced_at: at(i * 1_000) })]);
  expect(store.view.get().flood).toBe(false);
  store.take([row("a10", 1, "active_unacked", { announced_at: at(10_000) })]);
  expect(store.view.get()).toMatchObject({ flood: true, rate10min: 11 });
  // Five of the eleven are still younger than ten minutes.
  now += 606_000;
  store.sweep();
  expect(store.view.get()).toMatchObject({ flood: true, rate10min: 5 });
  now += 1_000;
  store.sweep();
  expect(store.view.get()).toMatchObject({ flood: false, rate10min: 4 });
});

test("only what was announced is load: not what was suppressed, not the trial of a rule, nothing twice", () => {
  const now = Date.parse("2026-03-01T00:00:00.000Z");
  const store = new AlarmStore(() => now);
  const told = "2026-02-28T23:59:00.000Z";
  store.load(page([
    row("told", 1, "active_unacked", { announced_at: told }), row("child", 1, "suppressed"),
    row("trial", 1, "active_unacked", { announced_at: told, shadow: true }),
    row("long ago", 1, "active_unacked", { announced_at: "2026-02-28T23:49:59.000Z" }),
  ]));
  expect(store.view.get().rate10min).toBe(1);
  store.take([row("told", 2, "active_acked", { announced_at: told }), row("another child", 1, "suppressed")]);
  expect(store.view.get().rate10min).toBe(1);
  // Its parent is over: now people are told of the child as well.
  store.take([row("child", 2, "active_unacked", { announced_at: "2026-03-01T00:00:00.000Z" })]);
  expect(store.view.get().rate10min).toBe(2);
});

test("counts are those of what is held, unless the list was cut", () => {
  const store = new AlarmStore(() => 0);
  store.load({ ...page([row("a", 1)]), next: "more", counts: { total: 7_000, severity: { critical: 7_000, major: 0, minor: 0, warning: 0 }, state: { active_unacked: 6_000, active_acked: 1_000 } } });
  expect(store.view.get().tally).toMatchObject({ open: 7_000 });
  expect(store.view.get().complete).toBe(false);
});

test("where the hub counts, its count is shown on every desk alike", () => {
  const store = new AlarmStore(() => 0);
  const live = {
    total: 9, severity: { critical: 5, major: 4, minor: 0, warning: 0 }, state: { active_unacked: 9 }, matrix: { active_unacked: { critical: 5, major: 4 } },
    oldest_unacked_at: null, rate_10min: 12, flood_since: "2026-03-01T00:00:00.000Z", devices: { offline: 3 },
  };
  store.count(live);
  expect(store.view.get()).toMatchObject({ rate10min: 12, flood: true });
  // What is held is all there is, so it counts itself.
  expect(store.view.get().tally.unacked.critical).toBe(0);
  store.load({ ...page([row("a", 1)]), next: "more" });
  expect(store.view.get().tally.unacked).toEqual({ critical: 5, major: 4, minor: 0, warning: 0 });
  store.count({ ...live, flood_since: null });
  expect(store.view.get().flood).toBe(false);
});

test("rows stay in order through every change, as if all were sorted anew", () => {
  let now = 0;
  const store = new AlarmStore(() => now);
  const states: AlarmState[] = ["active_unacked", "active_acked", "cleared_unacked", "shelved", "normal"];
  const severities = ["critical", "major", "minor", "warning"] as const;
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (let version = 1; version <= 400; version += 1) {
    store.take([row(`a${random(60)}`, version, states[random(5)], { severity: severities[random(4)], raised_at: new Date(random(9) * 1_000).toISOString() })]);
    if (version % 50 === 0) {
      now += NORMAL_STAYS_MS;
      store.sweep();
    }
    expect(store.rows()).toEqual([...store.rows()].sort(compareAlarms));
  }
  expect(new Set(store.rows().map(({ id }) => id)).size).toBe(store.rows().length);
});

test("a snapshot comes in parts: the first rows show at once, and what no part holds is gone at the end", async () => {
  const store = new AlarmStore(() => 0);
  store.load(page([row("old", 1)]));
  const shown: string[][] = [];
  const parts: AlarmPage[] = [{ ...page([row("a", 1)], 5), next: "b" }, page([row("b", 1)], 9)];
  const from = await readAlarms(store, async (query) => {
    shown.push(store.rows().map(({ id }) => id));
    return (query?.cursor === "b" ? parts[1] : parts[0]) as AlarmPage;
  });
  // The stream goes on from the first part: what changed between the two is told again.
  expect(from).toBe(5);
  expect(shown).toEqual([["old"], ["a", "old"]]);
  expect(store.rows().map(({ id }) => id)).toEqual(["a", "b"]);
  expect(store.view.get()).toMatchObject({ complete: true, arriving: false });
});
