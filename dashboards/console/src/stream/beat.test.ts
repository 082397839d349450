import { expect, test } from "vitest";
import type { HubEvent } from "../data/rows";
import { beatOf, isUrgent } from "./beat";

test("a beat is read in its present and its former form", () => {
  expect(beatOf('{"seq":7,"server_time":"2026-03-01T00:00:00.000Z","canary_age_s":3}')).toMatchObject({ seq: 7, canary_age_s: 3 });
  expect(beatOf('{"as_of_seq":8,"now":"2026-03-01T00:00:00.000Z"}')).toMatchObject({ seq: 8, server_time: "2026-03-01T00:00:00.000Z" });
});

test("only new and worse alarms of the two upper levels cannot wait", () => {
  const event = (type: string, severity: string): HubEvent => ({ type, data: { severity } }) as HubEvent;
  expect(isUrgent(event("cityhub.alarm.raised", "critical"))).toBe(true);
  expect(isUrgent(event("cityhub.alarm.escalated", "major"))).toBe(true);
  expect(isUrgent(event("cityhub.alarm.raised", "minor"))).toBe(false);
  expect(isUrgent(event("cityhub.alarm.acked", "critical"))).toBe(false);
  expect(isUrgent({ type: "cityhub.device.offline", data: null } as unknown as HubEvent)).toBe(false);
});
