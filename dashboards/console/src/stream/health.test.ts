import { expect, test } from "vitest";
import { judge } from "./health";

const at = (nowMs: number, heardAtMs: number | null, lostAtMs: number | null = null, reading = false) =>
  judge({ nowMs, heardAtMs, lostAtMs, reading });

test("a link is live until one beat was missed, late until four were, then broken", () => {
  expect(at(7_999, 0)).toBe("live");
  expect(at(8_001, 0)).toBe("late");
  expect(at(20_000, 0)).toBe("late");
  expect(at(20_001, 0)).toBe("broken");
});

test("a lost connection is late at once and broken when it does not come back", () => {
  expect(at(1_000, 500, 900)).toBe("late");
  expect(at(8_901, 500, 900)).toBe("broken");
});

test("a hub that was never heard is broken after a while, not live", () => {
  expect(at(100, null)).toBe("opening");
  expect(at(9_000, null, 500)).toBe("broken");
});

test("reading a snapshot again is shown, but does not hide that the link is down", () => {
  expect(at(100, 0, null, true)).toBe("resync");
  expect(at(30_000, 0, null, true)).toBe("broken");
});
