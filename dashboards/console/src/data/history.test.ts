import { expect, test } from "vitest";
import { happeningsInRow, remark } from "./history";
import type { Alarm, AlarmHappening } from "./rows";

const row = { raised_at: "2026-03-01T00:00:00.000Z", cleared_at: "2026-03-01T00:01:00.000Z", severity: "major", state: "normal" } as Alarm;
const happening = (more: Partial<AlarmHappening>): AlarmHappening => ({ ...(happeningsInRow(row)[0] as AlarmHappening), ...more });

test("before the hub answers, the row tells when it began and ended", () => {
  expect(happeningsInRow(row).map((one) => [one.kind, one.at])).toEqual([["raised", row.raised_at], ["cleared", row.cleared_at]]);
  expect(happeningsInRow({ ...row, cleared_at: null }).length).toBe(1);
});

test("what was said is told with who said it", () => {
  expect(remark(happening({ kind: "acked", actor: "li", comment: "called" }))).toBe("li · “called”");
  expect(remark(happening({ kind: "assigned", actor: "li", owner: "crew 3", comment: null }))).toBe("li · → crew 3");
  expect(remark(happening({ kind: "shelved", actor: "li", shelve_reason: "works" }))).toBe("li · works");
  expect(remark(happening({ kind: "cleared" }))).toBe("");
});
