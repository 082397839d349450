import { expect, test } from "vitest";
import { PLAIN, kindName, merged, metricName, severityName } from "./site";

test("a city names its own kinds and levels; what it leaves out keeps the plain names", () => {
  const city = merged({ kinds: { sewage: { zh: "污水", en: "Sewage" } }, severities: { ...PLAIN.severities, minor: { numeral: "Ⅲ", zh: "较重", en: "Minor" } } });
  expect(kindName(city, "sewage", "zh")).toBe("污水");
  expect(kindName(city, "smoke", "en")).toBe("Smoke");
  expect(severityName(city, "minor", "zh")).toBe("Ⅲ 较重");
  expect(metricName(city, "unknown_metric", "zh")).toBe("unknown_metric");
});
