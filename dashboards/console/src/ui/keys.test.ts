import { afterEach, expect, test } from "vitest";
import { bindKeys, nameOf, press, singleKeys, written } from "./keys";

const frees: (() => void)[] = [];
afterEach(() => {
  for (const free of frees.splice(0)) free();
  singleKeys.set("on");
});

const field = (tag: string) => ({ type: "text", closest: (what: string) => (what.split(/,\s*/).includes(tag) ? { type: "text" } : null) });

function key(name: string, more: Partial<KeyboardEvent> & { target?: unknown } = {}): KeyboardEvent {
  return { key: name, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, defaultPrevented: false, target: null, preventDefault: () => undefined, ...more } as unknown as KeyboardEvent;
}

function bound(keys: string, options: { modal?: boolean; inFields?: boolean; when?: () => boolean } = {}) {
  const pressed: string[] = [];
  frees.push(bindKeys(() => "t", [{ keys, label: () => keys, run: () => pressed.push(keys), inFields: options.inFields, when: options.when }], { modal: options.modal }));
  return pressed;
}

test("keys are named by what they say", () => {
  expect(nameOf(key("J", { shiftKey: true }))).toBe("shift+j");
  expect(nameOf(key("?", { shiftKey: true }))).toBe("?");
  expect(nameOf(key("k", { metaKey: true }))).toBe("ctrl+k");
  expect(nameOf(key(" "))).toBe("space");
  expect(written("g a")).toBe("G A");
});

test("two keys after one another mean one thing, unless too much time passes", () => {
  const pressed = bound("g a");
  press(key("g"), 0);
  press(key("a"), 1_400);
  expect(pressed).toEqual(["g a"]);
  press(key("g"), 5_000);
  press(key("a"), 6_600);
  expect(pressed).toEqual(["g a"]);
});

test("letters typed into a field are text; keys with ctrl are not", () => {
  const letter = bound("a");
  const send = bound("ctrl+enter");
  press(key("a", { target: field("input") as unknown as EventTarget }), 0);
  press(key("Enter", { ctrlKey: true, target: field("textarea") as unknown as EventTarget }), 0);
  expect([letter, send]).toEqual([[], ["ctrl+enter"]]);
});

test("a dialog hides the keys below it", () => {
  const below = bound("a");
  bound("x", { modal: true });
  expect(press(key("a"), 0)).toBe(false);
  expect(below).toEqual([]);
});

test("a key that may not run is left to others", () => {
  const lower = bound("a");
  bound("a", { when: () => false });
  press(key("a"), 0);
  expect(lower).toEqual(["a"]);
});

test("single keys can be turned off, those with ctrl stay", () => {
  const single = bound("a");
  const chord = bound("ctrl+k");
  singleKeys.set("off");
  press(key("a"), 0);
  press(key("k", { ctrlKey: true }), 0);
  expect([single, chord]).toEqual([[], ["ctrl+k"]]);
});
