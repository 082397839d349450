import { expect, test } from "vitest";
import { tileUrl } from "./tiles";

test("a tile is named by zoom, column and row, and each host has its share", () => {
  const source = { url: "https://{s}.tiles.test/{z}/{x}/{y}.png", subdomains: "abc", across: 1 };
  expect(tileUrl(source, 3, 5, 4)).toBe("https://c.tiles.test/4/3/5.png");
  expect(tileUrl(source, 17, 5, 4)).toBe("https://a.tiles.test/4/1/5.png");
  expect(tileUrl(source, -1, 0, 4)).toBe("https://a.tiles.test/4/15/0.png");
});

test("tiles in degrees begin with two squares at level 1, and rows may count from the south", () => {
  expect(tileUrl({ url: "/{z}/{x}/{-y}", subdomains: "a", across: 2 }, 3, 0, 1)).toBe("/2/3/1");
});
