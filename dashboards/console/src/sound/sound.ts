// The sound of this desk: on or off, allowed or blocked, silenced for a while, in one tab only.

import { alarmStore } from "../data/alarm-store";
import { cell, stored } from "../data/cell";
import { post } from "../data/hub";
import { desk, may } from "../data/session";
import { link, onSaid, say, soundHere, wantSound } from "../stream/link";
import { MUTE_MS, loudness, muteNow, ringingCritical, toneDue, type Mute } from "./choice";
import { Player } from "./player";
import { PATTERNS, type Tone } from "./tones";

export const VOLUMES = ["0.2", "0.4", "0.6", "0.8", "1"] as const;

/** Whoever acts on alarms hears them unless they turn it off; others turn it on if they want. */
export const soundChoice = stored<"auto" | "on" | "off">("cityhub.sound", "auto", ["auto", "on", "off"]);
export const volume = stored<(typeof VOLUMES)[number]>("cityhub.volume", "0.6", VOLUMES);
export const blocked = cell(false);
export const mute = cell<Mute | null>(null);
/** What is sounding in this tab. */
export const sounding = cell<Tone | null>(null);

const player = new Player();
const TICK_MS = 200;
const OPEN_AFTER_MS = 100;
let nextAt = 0;
let testing = false;

export function isOn(choice = soundChoice.get(), session = desk.get().session): boolean {
  return choice === "on" || (choice === "auto" && may(session, "act"));
}

function facts() {
  return {
    rows: alarmStore.rows(), flood: alarmStore.view.get().flood, linkBroken: link.get().state === "broken",
    mute: mute.get(), nowMs: Date.now(),
  };
}

function tick(): void {
  const now = facts();
  if (mute.get() !== null && muteNow(now) === null) mute.set(null);
  const tone = isOn() && soundHere.get() && !testing ? toneDue(now) : null;
  if (tone !== sounding.get()) {
    sounding.set(tone);
    nextAt = 0;
    if (tone === null && !testing) player.stop();
  }
  if (tone === null || !player.running || now.nowMs < nextAt) return;
  const pattern = PATTERNS[tone];
  player.play(pattern, loudness(tone, Number(volume.get())));
  nextAt = now.nowMs + (pattern.every ?? 0) * 1_000;
}

/** Called by a click: the only way past a browser that blocks sound. */
export async function allowSound(): Promise<boolean> {
  const allowed = await player.allow();
  blocked.set(isOn() && !allowed);
  wantSound(isOn() && allowed);
  tick();
  return allowed;
}

export async function turnSound(on: boolean): Promise<void> {
  soundChoice.set(on ? "on" : "off");
  if (on) await allowSound();
  else {
    blocked.set(false);
    wantSound(false);
    player.stop();
  }
}

function silence(next: Mute | null): void {
  mute.set(next);
  if (next !== null) player.stop();
  tick();
}

/** Silences for two minutes in all tabs: it acknowledges nothing, and a new Ⅰ breaks it. The log says who did. */
export function muteForAWhile(note: string, unrecorded: (problem: Error) => void): void {
  const next = { until: Date.now() + MUTE_MS, known: ringingCritical(alarmStore.rows()) };
  silence(next);
  say({ mute: next });
  // Who may not write into the log may silence their own desk all the same.
  if (may(desk.get().session, "act")) post("shift-log", { kind: "note", text: note }).catch(unrecorded);
}

export function unmute(): void {
  silence(null);
  say({ mute: null });
}

/** One tone for the self-test, whatever else is due. */
export async function testTone(tone: Tone): Promise<boolean> {
  if (!(await player.allow())) return false;
  testing = true;
  player.play(PATTERNS[tone], loudness(tone, Number(volume.get())));
  setTimeout(() => { testing = false; }, 1_500);
  return true;
}

/** Keeps the sound going while somebody is signed in; the answer ends it. */
export function startSound(): () => void {
  // A browser takes its time to open the sound: the screen is drawn first.
  const first = setTimeout(() => void allowSound(), OPEN_AFTER_MS);
  const gesture = (): void => { if (isOn() && !player.running) void allowSound(); };
  const timer = setInterval(tick, TICK_MS);
  const stops = [
    alarmStore.onNews((news) => {
      tick();
      const back = news.some(({ row, before }) => before?.state === "shelved" && row.state.endsWith("_unacked"));
      if (back && isOn() && soundHere.get() && sounding.get() === null) player.play(PATTERNS.shelf_end, Number(volume.get()));
    }),
    onSaid((message) => {
      const said = message as { mute?: Mute | null } | null;
      if (said !== null && typeof said === "object" && "mute" in said) silence(said.mute ?? null);
    }),
    soundChoice.subscribe(() => {
      if (!isOn()) {
        blocked.set(false);
        wantSound(false);
      }
      tick();
    }),
  ];
  // Not with the pointer's going down: the bar that vanishes would move what is being pressed.
  for (const kind of ["click", "keydown"]) window.addEventListener(kind, gesture, { passive: true });
  return () => {
    clearTimeout(first);
    clearInterval(timer);
    for (const stop of stops) stop();
    for (const kind of ["click", "keydown"]) window.removeEventListener(kind, gesture);
    player.stop();
    sounding.set(null);
    mute.set(null);
    blocked.set(false);
  };
}
