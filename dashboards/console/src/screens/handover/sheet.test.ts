import { describe, expect, it } from "vitest";
import type { Handover } from "../../data/shift";
import { behind, called, gigabytes, grouped, obstacle, phaseOf, untold } from "./sheet";

const OPENS = Date.parse("2026-11-22T11:50:00Z");

function paper(change: Partial<Handover> = {}, counts: Record<string, number> = {}): Handover {
  const section = (name: string) => ({ count: counts[name] ?? 0, items: [] });
  return {
    id: 3, version: 4, state: "draft", shift: "day", began_at: "2026-11-22T00:00:00Z", ends_at: "2026-11-22T12:00:00Z", opens_at: "2026-11-22T11:50:00Z",
    overdue_at: "2026-11-22T12:30:00Z", is_overdue: false, responsible: "li", explained: {}, checklist: {}, opinions: { outgoing: "", incoming: "" },
    signatures: [], as_of_seq: 9,
    sections: {
      open_alarms: section("open_alarms"), set_aside: section("set_aside"), cases: section("cases"), devices: section("devices"), changes: section("changes"),
    } as unknown as Handover["sections"],
    ...change,
  };
}

describe("what is still to be gone through", () => {
  it("leaves out sections that are empty and those that were explained", () => {
    expect(untold(paper({ explained: { cases: true } }, { open_alarms: 2, cases: 1, devices: 4 }))).toEqual(["open_alarms", "devices"]);
  });
});

describe("signing", () => {
  it("waits for what was set aside to be explained before the outgoing person signs", () => {
    expect(obstacle(paper({}, { set_aside: 1 }), "outgoing", OPENS)).toBe("must_tell");
    expect(obstacle(paper({ explained: { set_aside: true } }, { set_aside: 1 }), "outgoing", OPENS)).toBeNull();
    expect(obstacle(paper(), "outgoing", OPENS)).toBeNull();
  });

  it("lets the incoming person sign from ten minutes before the end on", () => {
    expect(obstacle(paper(), "incoming", OPENS - 1)).toBe("too_early");
    expect(obstacle(paper(), "incoming", OPENS)).toBeNull();
  });

  it("takes each part once", () => {
    const signed = paper({ signatures: [{ part: "outgoing", name: "li", role: "officer", at: "2026-11-22T11:55:00Z" }] });
    expect(obstacle(signed, "outgoing", OPENS)).toBe("signed");
  });
});

describe("the phase", () => {
  it("goes from preparing over open and half signed to overdue", () => {
    expect(phaseOf(paper(), OPENS - 1)).toBe("preparing");
    expect(phaseOf(paper(), OPENS)).toBe("open");
    const half = paper({ signatures: [{ part: "outgoing", name: "li", role: "officer", at: "2026-11-22T11:55:00Z" }] });
    expect(phaseOf(half, OPENS)).toBe("half_signed");
    expect(phaseOf(half, Date.parse("2026-11-22T12:30:00Z"))).toBe("overdue");
    expect(phaseOf(paper({ state: "frozen" }), OPENS)).toBe("frozen");
  });
});

it("writes hashes and disk space for people", () => {
  expect(grouped("0123456789abcdef01")).toBe("01234567 89abcdef 01");
  expect(gigabytes(9_440_000_000)).toBe("9.4 GB");
  expect(gigabytes(25_371_152_384)).toBe("25 GB");
  expect(gigabytes(null)).toBe("—");
});

it("names gateways that have three or more devices in trouble", () => {
  const items = [...Array(4).fill({ parent: "gw-31" }), ...Array(2).fill({ parent: "gw-2" }), { parent: null }];
  expect(behind(items)).toEqual([{ parent: "gw-31", count: 4 }]);
});

it("calls who signed as people do, and by the name of signing in where there is no other", () => {
  expect([called({ name: "li", display_name: "李" }), called({ name: "li", display_name: "" }), called({ name: "li" }), called(undefined)]).toEqual(["李", "li", "li", "—"]);
});
