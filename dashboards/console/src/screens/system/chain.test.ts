import { describe, expect, it } from "vitest";
import type { Report } from "../../data/health";
import { bytes, chainOf, rate, rateText } from "./chain";

const driver = { kind: "mqtt", state: "up", since: "2026-11-22T04:00:00Z", addresses: {}, restarts: 0, last_error: null } as const;
const sink = { kind: "webhook", state: "up", since: "2026-11-22T04:00:00Z", cursor: 9, attempts: 0, delivered: 9, lag_events: 0, lag_s: 0, parked: 0, last_error: null } as const;

function report(change: Partial<Report> = {}): Report {
  return {
    status: "up", ready: true, version: "1", started_at: "2026-11-22T04:00:00Z", uptime_s: 60, now: "2026-11-22T04:01:00Z", addresses: {},
    drivers: { mqtt: driver }, sinks: { platform: sink },
    store: { database_bytes: 0, segment_bytes: 0, segments: 0, sealed_readings: 0, wal_bytes: 0, disk_free_bytes: 9e9, last_commit: 1, last_event: 1 },
    storage: { state: "ample", free_bytes: 9e9, days_left: null, turned_away_values: 0 },
    intake: { received: 100, stored: 100, duplicate: 0, late: 0, rejected: 0, queued: 0, capacity: 256 }, journal: { commit: 1, event: 1 },
    alarms: { rate_10min: 1, in_flood: false, chattering: 0, stale: 0, state: {} }, devices: { total: 1, online_rate: 1, by_status: {} }, streams: { open: 1, limit: 256 },
    canary: { state: "passing", every_s: 60, age_s: 5, took_ms: 12, stage: null, driver: null, reason: null, passes: 1, failures: 0, last_passed_at: null },
    ...change,
  };
}

const grades = (of: Report, link: "live" | "broken" = "live") => chainOf(of, link).map((box) => box.grade);

describe("the chain", () => {
  it("is well from end to end when nothing is wrong", () => {
    expect(grades(report())).toEqual(["well", "well", "well", "well", "well"]);
  });

  it("marks the box in which something is wrong, and no other", () => {
    expect(grades(report({ drivers: { mqtt: { ...driver, state: "down" } } }))).toEqual(["broken", "well", "well", "well", "well"]);
    expect(grades(report({ sinks: { platform: { ...sink, state: "retrying" } } }))).toEqual(["well", "well", "well", "well", "broken"]);
    expect(grades(report(), "broken")).toEqual(["well", "well", "well", "broken", "well"]);
  });

  it("puts a failed self-test where it stopped", () => {
    const canary = { ...report().canary, state: "failing", stage: "rule", reason: "no alarm" } as Report["canary"];
    expect(grades(report({ canary }))).toEqual(["well", "well", "broken", "well", "well"]);
  });

  it("asks for a look at a queue from half on, and calls it broken when it is nearly full", () => {
    const queued = (n: number) => grades(report({ intake: { ...report().intake, queued: n } }))[1];
    expect([queued(127), queued(128), queued(244)]).toEqual(["well", "look", "broken"]);
  });

  it("says what the hub says of its disk, and for how long it lasts", () => {
    const store = (state: "low" | "full", days_left: number | null) => {
      const box = chainOf(report({ storage: { state, days_left, free_bytes: 4e9, turned_away_values: 0 } }), "live")[1];
      return [box?.grade, box?.faults.map((one) => [one.fault, one.what]).join()];
    };
    expect(store("low", 12.7)).toEqual(["look", "disk_low,4.0 GB, 12 d"]);
    expect(store("low", null)).toEqual(["look", "disk_low,4.0 GB"]);
    expect(store("full", 12.7)).toEqual(["broken", "disk_full,4.0 GB"]);
  });

  it("names refused events beside a delivery that is up", () => {
    const box = chainOf(report({ sinks: { platform: { ...sink, parked: 2 } } }), "live")[4];
    expect(box?.faults.map((one) => [one.fault, one.what])).toEqual([["sink_parked", "platform"]]);
  });
});

describe("rates", () => {
  const later = report({ now: "2026-11-22T04:01:05Z", intake: { ...report().intake, received: 200 } });

  it("are what came between two reports by the hub's clock", () => {
    expect(rate(report(), later, (one) => one.intake.received)).toBe(20);
  });

  it("are unknown at first and after a restart", () => {
    expect(rate(null, later, (one) => one.intake.received)).toBeNull();
    expect(rate(report({ started_at: "2026-11-22T03:00:00Z" }), later, (one) => one.intake.received)).toBeNull();
    expect([rateText(null), rateText(0.25), rateText(123.4)]).toEqual(["—", "0.3", "123"]);
  });
});

it("writes sizes", () => {
  expect([bytes(0), bytes(8_192), bytes(25_371_152_384), bytes(null)]).toEqual(["0 B", "8.2 KB", "25.4 GB", "—"]);
});
