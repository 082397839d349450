import { describe, expect, it } from "vitest";
import type { Case } from "../../data/rows";
import { areaQuery, dueOf, listQuery, withEvents } from "./clock";

const at = (text: string): number => Date.parse(text);
const row = { state: "accepted" as const, opened_at: "2026-11-22T00:00:00Z", due_at: "2026-11-22T04:00:00Z" };

describe("the clock of a case", () => {
  it("counts down, is soon in its last quarter, and counts up once it is over", () => {
    expect(dueOf(row, at("2026-11-22T01:00:00Z"))).toEqual({ kind: "left", ms: 10_800_000 });
    expect(dueOf(row, at("2026-11-22T03:00:01Z")).kind).toBe("soon");
    expect(dueOf(row, at("2026-11-22T04:00:10Z"))).toEqual({ kind: "over", ms: 10_000 });
  });
  it("stands still while the case is deferred", () => {
    expect(dueOf({ ...row, state: "deferred", deferred_until: "2026-11-23T00:00:00Z" }, at("2026-11-22T23:00:00Z"))).toEqual({ kind: "still", ms: 3_600_000 });
  });
  it("says of a closed case whether it was in time", () => {
    expect(dueOf({ ...row, state: "closed", closed_at: "2026-11-22T05:00:00Z" }, 0)).toEqual({ kind: "late", ms: 3_600_000 });
    expect(dueOf({ ...row, state: "closed", closed_at: "2026-11-22T03:00:00Z" }, 0).kind).toBe("in_time");
    expect(dueOf({ ...row, state: "voided" }, 0).kind).toBe("none");
  });
});

describe("the list", () => {
  it("reads a code of an area by its length", () => {
    expect(areaQuery("350203")).toEqual({ district: "350203" });
    expect(areaQuery("350203002")).toEqual({ street: "350203002" });
    expect(areaQuery(" 3502030020 ")).toEqual({ grid: "3502030020" });
    expect(listQuery(new URLSearchParams("area=350203&overdue=true&open=1"))).toEqual({ district: "350203", overdue: "true" });
  });
  it("replaces rows by newer ones only, and counts those that it does not show", () => {
    const shown = { id: "c1", version: 3 } as Case;
    expect(withEvents([shown], [{ id: "c1", version: 2 } as Case]).rows[0]).toBe(shown);
    const after = withEvents([shown], [{ id: "c1", version: 4 } as Case, { id: "c2", version: 1 } as Case]);
    expect(after.rows[0]?.version).toBe(4);
    expect(after.unknown).toBe(1);
  });
});
