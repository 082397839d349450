import { expect, test } from "vitest";
import type { SourceListener, SourceOptions } from "./source";
import { Switchboard, type Down, type Up } from "./switchboard";

function desk() {
  const opened: SourceOptions[] = [];
  let on: SourceListener | null = null;
  let stopped = 0;
  let nowMs = 0;
  const board = new Switchboard((options, listener) => {
    opened.push(options);
    on = listener;
    return { stop: () => { stopped += 1; }, hurry: () => undefined, cursor: () => "0" };
  }, () => nowMs);
  const tab = () => {
    const heard: Down[] = [];
    const end = { send: (message: Down) => { heard.push(message); } };
    return { heard, say: (message: Up) => board.hear(end, message), seqs: () => heard.flatMap((m) => (m.kind === "event" ? [Number(m.event.id)] : [])) };
  };
  const event = (seq: number) => on?.event({ id: String(seq), event: "cityhub.alarm.raised", data: "{}" });
  return { opened, tab, event, on: () => on, stopped: () => stopped, pass: (ms: number) => { nowMs += ms; }, board };
}

const attach = (from: number, token: string | null = null): Up => ({ kind: "attach", address: "/s", token, from });

test("eight tabs share one connection", () => {
  const d = desk();
  const tabs = Array.from({ length: 8 }, () => d.tab());
  for (const tab of tabs) tab.say(attach(10));
  d.on()?.open();
  d.event(11);
  expect(d.opened.length).toBe(1);
  for (const tab of tabs) expect(tab.seqs()).toEqual([11]);
});

test("a tab that comes later is told what happened since its snapshot", () => {
  const d = desk();
  d.tab().say(attach(10));
  d.on()?.open();
  for (const seq of [11, 12, 13]) d.event(seq);
  const late = d.tab();
  late.say(attach(11));
  expect(late.seqs()).toEqual([12, 13]);
});

test("a tab whose snapshot is older than what is kept must read again", () => {
  const d = desk();
  d.tab().say(attach(10));
  d.on()?.open();
  const late = d.tab();
  late.say(attach(9));
  expect(late.heard).toContainEqual({ kind: "reset", reason: "attached_late" });
});

test("the connection ends with the last tab, also when that tab says nothing", () => {
  const d = desk();
  const one = d.tab();
  const two = d.tab();
  one.say(attach(1));
  two.say(attach(1));
  one.say({ kind: "detach" });
  expect(d.stopped()).toBe(0);
  d.pass(150_001);
  d.board.sweep();
  expect(d.stopped()).toBe(1);
  expect(d.board.tabs).toBe(0);
});

test("another person's token opens another connection", () => {
  const d = desk();
  d.tab().say(attach(1, "a"));
  d.tab().say(attach(1, "b"));
  expect(d.opened.map((o) => o.token)).toEqual(["a", "b"]);
  expect(d.stopped()).toBe(1);
});

test("one tab sounds: the one with the focus, else the one that had it last", () => {
  const d = desk();
  const one = d.tab();
  const two = d.tab();
  const sounding = (tab: ReturnType<typeof d.tab>) => tab.heard.filter((m) => m.kind === "sound").map((m) => (m as { here: boolean }).here).pop();
  one.say({ kind: "ping", focused: true, sound: true });
  two.say({ kind: "ping", focused: false, sound: true });
  expect([sounding(one), sounding(two)]).toEqual([true, false]);
  d.pass(5);
  one.say({ kind: "ping", focused: false, sound: true });
  two.say({ kind: "ping", focused: true, sound: true });
  expect([sounding(one), sounding(two)]).toEqual([false, true]);
  two.say({ kind: "ping", focused: true, sound: false });
  expect([sounding(one), sounding(two)]).toEqual([true, false]);
});
