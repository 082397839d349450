import { expect, it } from "vitest";
import { alarmsSince } from "./alarms-since";
import type { AlarmPage } from "./rows";

it("reads page after page of what was raised since, of the rule that is meant", async () => {
  const pages: Record<string, [string[], string | null]> = { "": [["10:00", "09:00"], "b"], b: [["08:00"], null] };
  const asked: unknown[] = [];
  const from = Date.parse("2026-11-22T07:30:00Z");
  const past = await alarmsSince(from, "r", undefined, async (query) => {
    asked.push([query?.from, query?.rule, query?.cursor]);
    const [times, next] = pages[String(query?.cursor ?? "")] ?? [[], null];
    return { items: times.map((at) => ({ raised_at: `2026-11-22T${at}:00Z` })), next } as AlarmPage;
  });
  expect(asked).toEqual([[from, "r", null], [from, "r", "b"]]);
  expect(past.rows.map((row) => row.raised_at.slice(11, 16))).toEqual(["10:00", "09:00", "08:00"]);
  expect(past.complete_from).toBe(from);
});
