import { expect, it } from "vitest";
import { alarmsSince } from "./alarms-since";
import type { AlarmPage } from "./rows";

it("reads page after page until a row is older than what was asked for", async () => {
  const pages: Record<string, [string[], string | null]> = { "": [["10:00", "09:00"], "b"], b: [["08:00", "07:00"], "c"], c: [["06:00"], null] };
  const asked: string[] = [];
  const past = await alarmsSince(Date.parse("2026-11-22T07:30:00Z"), undefined, async (query) => {
    const cursor = String(query?.cursor ?? "");
    asked.push(cursor);
    const [times, next] = pages[cursor] ?? [[], null];
    return { items: times.map((at) => ({ raised_at: `2026-11-22T${at}:00Z` })), next } as AlarmPage;
  });
  expect(asked).toEqual(["", "b"]);
  expect(past.rows.map((row) => row.raised_at.slice(11, 16))).toEqual(["10:00", "09:00", "08:00"]);
});
