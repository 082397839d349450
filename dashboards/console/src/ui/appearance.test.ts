import { expect, test } from "vitest";
import { isDark } from "./appearance";

test("night is from 19 to 7, unless the reader chose", () => {
  expect([6, 7, 18, 19].map((hour) => isDark("auto", hour))).toEqual([true, false, false, true]);
  expect([isDark("light", 23), isDark("dark", 12)]).toEqual([false, true]);
});
