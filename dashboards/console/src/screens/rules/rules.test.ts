import { describe, expect, it } from "vitest";
import type { Alarm, Rule } from "../../data/rows";
import { changes, draftOf, isAbout, ofKind, put, readTags, tagsText } from "./shape";
import { TEMPLATES } from "./templates";
import { lineOfKey, readJson, readToml, TextError, tomlOf } from "./toml";
import { barsOf, verdictsOf, type Trial, type TrialAlarm } from "./trial";

const FILE = `# limits of the operator
[rules."gas.low"]
title = "低压"   # name
kind = "threshold"
select = { kind = "gas_pressure", tags = { class = "low" } }
metric = "pressure_kpa"
levels = [
  { above = 3.0, below = 1.5, severity = "major" },  # twice
  { above = 1_0, severity = "critical" },
]
on_delay_s = 15
schedule.times = ["22:00-06:00"]
latch = true
`;

describe("rule files", () => {
  const rule = {
    title: "低压", kind: "threshold", select: { kind: "gas_pressure", tags: { class: "low" } }, metric: "pressure_kpa",
    levels: [{ above: 3, below: 1.5, severity: "major" }, { above: 10, severity: "critical" }], on_delay_s: 15, schedule: { times: ["22:00-06:00"] }, latch: true,
  };
  it("are read with comments, lists over lines, inline tables and dotted keys", () => {
    expect(readToml(FILE)).toEqual({ id: "gas.low", rule });
  });
  it("that are written are read back as they were", () => {
    for (const { id, draft } of TEMPLATES) expect(readToml(tomlOf(id, draft))).toEqual({ id, rule: draft });
    expect(readToml(tomlOf("gas.low", rule)).rule).toEqual(rule);
  });
  it("with a mistake name its line", () => {
    const line = (text: string): number => {
      try { readToml(text); } catch (error) { return (error as TextError).line; }
      return 0;
    };
    expect(line("[rules.a]\nkind = threshold\n")).toBe(2);
    expect(line("[rules.a]\nkind \"x\"\n")).toBe(2);
    expect(line("[rules.a]\nabove = 1\nabove = 2\n")).toBe(3);
    expect(line("[other]\n")).toBe(1);
    expect(() => readJson("[1]")).toThrow(TextError);
    expect(readJson("{\"id\":\"a\",\"revision\":3,\"kind\":\"clock\"}")).toEqual({ kind: "clock" });
    expect(lineOfKey(FILE, "levels[0].severity")).toBe(7);
  });
});

describe("drafts", () => {
  it("leave out what the hub adds, and empty keys", () => {
    const draft = draftOf({ id: "a", revision: 2, kind: "clock", skew_s: 120 } as Rule);
    expect(draft).toEqual({ kind: "clock", skew_s: 120 });
    expect(put(draft, "skew_s", "")).toEqual({ kind: "clock" });
  });
  it("of another kind drop what that kind would refuse", () => {
    expect(ofKind({ kind: "threshold", title: "x", metric: "m", above: 1, levels: [] }, "frozen")).toEqual({ kind: "frozen", title: "x", metric: "m" });
  });
  it("are compared key by key, whatever the order of inner keys", () => {
    expect(changes({ a: { x: 1, y: 2 }, b: 1 }, { a: { y: 2, x: 1 }, b: 2, c: 3 })).toEqual([{ key: "b", before: 1, after: 2 }, { key: "c", before: undefined, after: 3 }]);
    expect(isAbout("levels[0].severity", "levels")).toBe(true);
    expect(isAbout("above", "abov")).toBe(false);
    expect(readTags(tagsText({ class: "low", zone: "1" }))).toEqual({ class: "low", zone: "1" });
  });
});

describe("a backtest", () => {
  const row = (device: string, raised_at: string): TrialAlarm => ({ device, raised_at } as TrialAlarm);
  it("counts what is in force and what the draft gives by day", () => {
    const trial = {
      alarms: [row("a", "2026-11-20T03:00:00Z"), row("b", "2026-11-21T03:00:00Z")],
      diff: { gained: [row("b", "2026-11-21T03:00:00Z")], lost: [row("c", "2026-11-22T03:00:00Z")], moved: [] as Trial["diff"]["moved"] },
    } as Trial;
    const bars = barsOf(trial, Date.parse("2026-11-19T16:00:00Z"), Date.parse("2026-11-22T16:00:00Z"), "Asia/Shanghai");
    expect(bars).toEqual([{ label: "11-20", now: 1, draft: 1 }, { label: "11-21", now: 0, draft: 1 }, { label: "11-22", now: 1, draft: 0 }]);
  });
  it("tells how many alarms that became cases the draft would miss", () => {
    const recorded = [{ device: "a", raised_at: "2026-11-20T03:00:00.000Z", case: "c1", verdict: null }, { device: "b", raised_at: "2026-11-20T04:00:00Z", case: null, verdict: "false_alarm" }] as Alarm[];
    expect(verdictsOf(recorded, [row("a", "2026-11-20T03:00:00Z"), row("b", "2026-11-20T04:00:00Z")])).toEqual({ real: 1, real_lost: 1, wrong: 1, wrong_lost: 1 });
  });
});
