import { expect, test } from "vitest";
import type { Alarm } from "../../data/rows";
import { allPages, alarmTable } from "./export";

test("a row of the table has a cell for every column, and times of the city", () => {
  const row = { id: "a1", severity: "major", state: "shelved", kind: "smoke", site: "=x", device: "d1", grid: null, title: "烟,火", raised_at: "2026-03-01T16:30:05.000Z", cleared_at: null, count: 2, rule: "r", rule_revision: 3 } as Alarm;
  const head = Array.from({ length: 22 }, (_, i) => `c${i}`);
  const text = alarmTable([row], { severity: () => "Ⅱ", state: () => "搁置", kind: () => "烟感", name: () => "n", head }, "Asia/Shanghai");
  const line = text.split("\r\n")[1] ?? "";
  expect(line).toBe("a1,Ⅱ,搁置,烟感,'=x,n,d1,,\"烟,火\",,,,,,2026-03-02 00:30:05,,2,,,,r,3");
});

test("all pages are read, one after another", async () => {
  const asked: (string | null)[] = [];
  const rows = await allPages((cursor) => {
    asked.push(cursor);
    const at = Number(cursor ?? 0);
    return Promise.resolve({ items: [{ id: `a${at}` } as Alarm], next: at < 2 ? String(at + 1) : null });
  });
  expect([asked, rows.map((row) => row.id)]).toEqual([[null, "1", "2"], ["a0", "a1", "a2"]]);
});
