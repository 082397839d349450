import { expect, test } from "vitest";
import { csv, csvCell } from "./csv";

test("no cell runs as a formula, and numbers stay numbers", () => {
  expect(["=1+1", "+a", "-a", "@x", "-3.5", "3"].map(csvCell)).toEqual(["'=1+1", "'+a", "'-a", "'@x", "-3.5", "3"]);
  expect(csvCell(-3.5)).toBe("-3.5");
});

test("quotes, commas and line breaks survive", () => {
  expect(csvCell('a "b", c\nd')).toBe('"a ""b"", c\nd"');
  expect(csvCell(null)).toBe("");
});

test("a table begins with the mark of UTF-8 and its lines end as RFC 4180 says", () => {
  expect(csv([["编号", "值"], ["a1", 2]])).toBe("\uFEFF编号,值\r\na1,2\r\n");
});
