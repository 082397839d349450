import { expect, test } from "vitest";
import { findCommands, offerCommands } from "./commands";

test("commands are found by all words, and titles that begin with the text come first", () => {
  const leave = offerCommands(() => [
    { id: "1", title: "去地图", hint: "map", run: () => undefined },
    { id: "2", title: "地图", run: () => undefined },
    { id: "3", title: "设备", run: () => undefined },
  ]);
  expect(findCommands("地图").map((c) => c.id)).toEqual(["2", "1"]);
  expect(findCommands("map 去").map((c) => c.id)).toEqual(["1"]);
  leave();
  expect(findCommands("")).toEqual([]);
});
