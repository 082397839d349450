import { expect, test } from "vitest";
import { createParser, type RawEvent } from "./parser";

const STREAM = 'retry: 2000\n\nid: 7\nevent: cityhub.alarm.raised\ndata: {"a":1}\n\n: a comment\nid: 8\r\nevent: hb\r\ndata: one\r\ndata: two\r\n\r\n';
const EVENTS: RawEvent[] = [
  { event: "cityhub.alarm.raised", data: '{"a":1}', id: "7" },
  { event: "hb", data: "one\ntwo", id: "8" },
];

test("a stream may be cut anywhere", () => {
  for (let at = 0; at <= STREAM.length; at += 1) {
    const heard: RawEvent[] = [];
    const parse = createParser((event) => heard.push(event));
    parse(STREAM.slice(0, at));
    parse(STREAM.slice(at));
    expect(heard).toEqual(EVENTS);
  }
});

test("half an event is not told", () => {
  const heard: RawEvent[] = [];
  createParser((event) => heard.push(event))("id: 1\nevent: hb\ndata: x\n");
  expect(heard).toEqual([]);
});
