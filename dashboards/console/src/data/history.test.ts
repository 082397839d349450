import { expect, test } from "vitest";
import { happeningsInRow, happeningsOf, remark } from "./history";
import type { Alarm, HubEvent } from "./rows";

const event = (id: string, type: string, row: Partial<Alarm>): HubEvent<Alarm> =>
  ({ id, type, time: "2026-03-01T00:00:00.000Z", data: { owner: null, note: null, shelve_reason: null, ...row } }) as HubEvent<Alarm>;

test("what somebody said is told once, at the moment when it was said", () => {
  const list = happeningsOf([
    event("1", "cityhub.alarm.raised", {}),
    event("2", "cityhub.alarm.acked", { note: "called", owner: "li" }),
    event("3", "cityhub.alarm.cleared", { note: "called", owner: "li" }),
  ]);
  expect(list.map((one) => one.what)).toEqual(["raised", "acked", "cleared"]);
  expect(list.map((one, i) => remark(one, list[i - 1]))).toEqual(["", "li · “called”", ""]);
});

test("without events the row tells what it knows", () => {
  const row = { raised_at: "2026-03-01T00:00:00.000Z", cleared_at: "2026-03-01T00:01:00.000Z" } as Alarm;
  expect(happeningsInRow(row).map((one) => [one.what, one.at])).toEqual([["raised", row.raised_at], ["cleared", row.cleared_at]]);
});
