import { expect, test } from "vitest";
import { routeOf } from "./router";

test("the first part of a path is the screen, the rest is the screen's", () => {
  expect(routeOf("/", "").screen).toBe("alarms");
  const route = routeOf("/devices/%E8%8A%B1-1/raw", "?metric=a");
  expect([route.screen, route.rest, route.query.get("metric")]).toEqual(["devices", ["花-1", "raw"], "a"]);
});

test("a path that is no proper UTF-8 names nothing, but breaks nothing", () => {
  expect(routeOf("/devices/%E8", "").rest).toEqual(["%E8"]);
});
