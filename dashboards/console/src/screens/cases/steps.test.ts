import { describe, expect, it } from "vitest";
import { missing, needsOf, possibleSteps, reportOf } from "./steps";

describe("possible steps", () => {
  it("are those of the table of docs/en/cases.md", () => {
    expect(possibleSteps({ state: "reported" })).toEqual(["accept", "void", "supervise"]);
    expect(possibleSteps({ state: "handling" })).toEqual(["feedback", "return", "extend", "defer", "supervise"]);
    expect(possibleSteps({ state: "verified" })).toEqual(["close", "return", "supervise"]);
    expect(possibleSteps({ state: "closed" })).toEqual([]);
  });
  it("leave the extension out after two, or once overdue", () => {
    expect(possibleSteps({ state: "accepted", extensions: 2 })).not.toContain("extend");
    expect(possibleSteps({ state: "accepted", overdue: true })).not.toContain("extend");
  });
  it("of a deferred case are those of the state that it was put off from", () => {
    expect(possibleSteps({ state: "deferred", deferred_from: "dispatched" })).toEqual(["handle", "return", "void", "extend", "supervise"]);
  });
});

describe("needs of a step", () => {
  it("a close while the sensor still measures it needs to be insisted on, with a note", () => {
    const needs = needsOf("close", { state: "verified", violation: true });
    const given = { note: "", until: "", to: "" as const, override: false };
    expect(missing(needs, given)).toBe("override");
    expect(missing(needs, { ...given, override: true })).toBe("note");
    expect(missing(needs, { ...given, override: true, note: "checked on site" })).toBeNull();
    expect(missing(needsOf("close", { state: "verified", violation: false }), given)).toBeNull();
  });
  it("a return offers the states before, the nearest first", () => {
    expect(needsOf("return", { state: "handling" }).to).toEqual(["dispatched", "accepted", "reported"]);
  });
  it("a deferment needs its end, and the report carries it", () => {
    const needs = needsOf("defer", { state: "accepted" });
    expect(missing(needs, { note: "frost", until: "", to: "", override: false })).toBe("until");
    expect(reportOf("defer", needs, { note: " frost ", until: "2026-12-01T00:00:00.000Z", to: "", override: true }, 4))
      .toEqual({ step: "defer", version: 4, note: "frost", until: "2026-12-01T00:00:00.000Z" });
  });
});
