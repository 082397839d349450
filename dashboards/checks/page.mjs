// Checks of the desk page's own logic, run by `cargo test -p dashboards` with node.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.localStorage = new Map();
globalThis.localStorage.getItem = (key) => globalThis.localStorage.get(key) ?? null;
globalThis.localStorage.setItem = (key, value) => globalThis.localStorage.set(key, value);

const { createParser } = await import("../fallback/stream.js");
const { ageText, clockText, inOrder } = await import("../fallback/view.js");
const { switchLanguage, text } = await import("../fallback/text.js");

const STREAM = 'retry: 2000\n\nid: 7\nevent: cityhub.alarm.raised\ndata: {"a":1}\n\n: a comment\n'
  + "id: 8\r\nevent: hb\r\ndata: one\r\ndata: two\r\n\r\n";
const EVENTS = [
  { event: "cityhub.alarm.raised", data: '{"a":1}', id: "7" },
  { event: "hb", data: "one\ntwo", id: "8" },
];

test("a stream may be cut anywhere", () => {
  for (let at = 0; at <= STREAM.length; at += 1) {
    const heard = [];
    const parse = createParser((event) => heard.push(event));
    parse(STREAM.slice(0, at));
    parse(STREAM.slice(at));
    assert.deepEqual(heard, EVENTS, `cut at ${at}`);
  }
});

test("a half event is not told", () => {
  const heard = [];
  createParser((event) => heard.push(event))("id: 1\nevent: hb\ndata: x\n");
  assert.deepEqual(heard, []);
});

test("unacknowledged comes first, then the worst, then the newest", () => {
  const row = (id, state, severity, raised_at) => ({ id, state, severity, raised_at });
  const rows = [
    row("a1", "active_acked", "critical", "2026-03-01T00:00:09.000Z"),
    row("a2", "active_unacked", "minor", "2026-03-01T00:00:01.000Z"),
    row("a3", "active_unacked", "minor", "2026-03-01T00:00:02.000Z"),
    row("a4", "cleared_unacked", "critical", "2026-03-01T00:00:03.000Z"),
    row("a5", "active_unacked", "critical", "2026-03-01T00:00:00.000Z"),
    row("a6", "shelved", "critical", "2026-03-01T00:00:00.000Z"),
  ];
  assert.deepEqual(inOrder(rows).map((r) => r.id), ["a5", "a3", "a2", "a4", "a1", "a6"]);
});

test("ages and times are those of the city", () => {
  assert.equal(ageText(3_723_999), "01:02:03");
  assert.equal(ageText(90_061_000), "1 d 01:01:01");
  assert.equal(ageText(-5), "00:00:00");
  assert.equal(clockText(Date.parse("2026-03-01T16:30:05Z"), "Asia/Shanghai", false), "00:30:05");
});

test("both languages have every word", () => {
  const keys = (words) => Object.keys(words).sort();
  const first = text();
  switchLanguage();
  const second = text();
  assert.notEqual(first, second);
  assert.deepEqual(keys(first), keys(second));
  assert.deepEqual(keys(first.kinds), keys(second.kinds));
  for (const key of keys(first)) assert.equal(typeof first[key], typeof second[key], key);
});
