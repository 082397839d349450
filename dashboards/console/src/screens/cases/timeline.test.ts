import { expect, it } from "vitest";
import type { AlarmHappening, Case } from "../../data/rows";
import { timelineOf } from "./timeline";

it("puts opening, steps and alarms on one line of time, the newest first", () => {
  const row = {
    id: "c1", opened_at: "2026-11-22T01:00:01Z",
    steps: [{ number: 1, step: "accept", actor: "platform", at: "2026-11-22T01:05:00Z", received_at: "2026-11-22T01:05:01Z", from: "reported", to: "accepted" }],
  } as Case;
  const told = (seq: number, at: string, actor: string | null): AlarmHappening => ({ seq, at, actor, kind: "acked" } as AlarmHappening);
  const entries = timelineOf(row, new Map([["a1", [told(1, "2026-11-22T01:00:00Z", null), told(2, "2026-11-22T01:03:00Z", "li")]]]));
  expect(entries.map((entry) => entry.key)).toEqual(["step 1", "a1 2", "opened", "a1 1"]);
  expect(entries.map((entry) => entry.source)).toEqual(["platform", "person", "hub", "hub"]);
});
