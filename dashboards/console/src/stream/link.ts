// The tab's end of the live link: its state for everybody, and events for whoever follows them.

import { BASE } from "../data/api";
import { cell } from "../data/cell";
import type { Heartbeat, HubEvent } from "../data/rows";
import { skewMs } from "../data/time";
import { BATCH_MS, batch } from "./batch";
import { beatOf, isUrgent } from "./beat";
import { judge, type LinkState } from "./health";
import type { RawEvent } from "./parser";
import SharedLink from "./shared?sharedworker";
import { keepOpen } from "./source";
import { Switchboard, type Down, type Up } from "./switchboard";

export interface Link {
  state: LinkState;
  /** Since when it is in this state, by the browser's clock. */
  since: number;
  heardAt: number | null;
  seq: number | null;
  canaryAgeS: number | null;
  /** The build that the hub runs; another than the first one means that the page is old. */
  build: string | null;
}

const QUIET: Link = { state: "opening", since: Date.now(), heardAt: null, seq: null, canaryAgeS: null, build: null };

export const link = cell<Link>(QUIET);
export const soundHere = cell(false);

export interface NumberedEvent<T = unknown> {
  seq: number;
  event: HubEvent<T>;
}

type Follower = { prefix: string; take: (events: NumberedEvent[]) => void };
const followers = new Set<Follower>();
const resetters = new Set<(reason: string) => void>();
const speakers = new Set<(message: unknown) => void>();
const beats = new Set<(beat: Heartbeat) => void>();

/**
 * Calls `take` with the events whose type begins with `prefix`, in batches. To follow a list:
 * follow first, then read the list, then leave out what is not newer than its `as_of_seq`.
 */
export function follow<T>(prefix: string, take: (events: NumberedEvent<T>[]) => void): () => void {
  const follower = { prefix, take: take as Follower["take"] };
  followers.add(follower);
  return () => followers.delete(follower);
}

/** Calls `again` when events were missed: whatever was read must be read again. */
export function onReset(again: (reason: string) => void): () => void {
  resetters.add(again);
  return () => resetters.delete(again);
}

export function onBeat(take: (beat: Heartbeat) => void): () => void {
  beats.add(take);
  return () => beats.delete(take);
}

/** Tabs of one browser talk through the worker: what one silences is silent in all. */
export function onSaid(take: (message: unknown) => void): () => void {
  speakers.add(take);
  return () => speakers.delete(take);
}

let up: (message: Up) => void = () => undefined;
let heardAt: number | null = null;
let lostAt: number | null = null;
let readers = 0;
let refused: (status: number) => void = () => undefined;
let soundWanted = false;

export function say(message: unknown): void {
  up({ kind: "say", message });
}

/** Holds the link in `resync` until `work` is done. */
export async function whileReading<T>(work: Promise<T>): Promise<T> {
  readers += 1;
  look();
  try {
    return await work;
  } finally {
    readers -= 1;
    look();
  }
}

function look(): void {
  const state = judge({ nowMs: Date.now(), heardAtMs: heardAt, lostAtMs: lostAt, reading: readers > 0 });
  link.update((before) => ({ ...before, heardAt, state, since: before.state === state ? before.since : Date.now() }));
}

const pending = batch<NumberedEvent>((events) => {
  for (const follower of followers) {
    const some = events.filter(({ event }) => event.type.startsWith(follower.prefix));
    if (some.length > 0) follower.take(some);
  }
}, () => (document.hidden ? 1_000 : BATCH_MS));

function hear(raw: RawEvent): void {
  heardAt = Date.now();
  lostAt = null;
  if (raw.event === "hb") {
    const beat = beatOf(raw.data);
    const at = Date.parse(beat.server_time);
    if (!Number.isNaN(at)) skewMs.set(at - Date.now());
    link.update((before) => ({
      ...before, seq: beat.seq, canaryAgeS: beat.canary_age_s ?? null, build: beat.build ?? before.build,
    }));
    for (const take of beats) take(beat);
  } else if (raw.event === "reset") {
    pending.stop();
    for (const again of resetters) again(raw.data);
  } else if (raw.id !== null) {
    const seq = Number(raw.id);
    const event = JSON.parse(raw.data) as HubEvent;
    link.update((before) => ({ ...before, seq: Math.max(seq, before.seq ?? 0) }));
    pending.add({ seq, event }, isUrgent(event));
  }
  look();
}

function down(message: Down): void {
  if (message.kind === "open") {
    heardAt = Date.now();
    lostAt = null;
    look();
  } else if (message.kind === "event") hear(message.event);
  else if (message.kind === "lost") {
    lostAt ??= Date.now();
    look();
  } else if (message.kind === "refused") refused(message.status);
  else if (message.kind === "reset") for (const again of resetters) again(message.reason);
  else if (message.kind === "sound") soundHere.set(message.here);
  else for (const take of speakers) take(message.message);
}

function ping(): void {
  up({ kind: "ping", focused: document.hasFocus(), sound: soundWanted });
}

/** Tells the worker whether this tab can sound; it answers through `soundHere`. */
export function wantSound(wanted: boolean): void {
  soundWanted = wanted;
  ping();
}

function shared(name: string): ((message: Up) => void) | null {
  if (typeof SharedWorker === "undefined") return null;
  try {
    const worker = new SharedLink({ name });
    worker.port.onmessage = (event: MessageEvent<Down>) => down(event.data);
    worker.port.start();
    return (message) => worker.port.postMessage(message);
  } catch {
    return null;
  }
}

function alone(): (message: Up) => void {
  const board = new Switchboard(keepOpen, () => performance.now());
  const tab = { send: down };
  return (message) => board.hear(tab, message);
}

/** Opens the link for one person; the answer closes it. `from` is the `as_of_seq` of the first snapshot. */
export function openLink(who: { name: string; token: string | null; from: number; refused: (status: number) => void }): () => void {
  heardAt = null;
  // Until it is open it is down: a hub that never answers is as gone as one that went.
  lostAt = Date.now();
  refused = who.refused;
  link.set({ ...QUIET, since: Date.now() });
  up = shared(`cityhub ${who.name}`) ?? alone();
  up({ kind: "attach", address: BASE + "/stream", token: who.token, from: who.from });
  ping();
  const watch = setInterval(look, 500);
  const pings = setInterval(ping, 10_000);
  const leave = (): void => up({ kind: "detach" });
  window.addEventListener("focus", ping);
  window.addEventListener("blur", ping);
  window.addEventListener("pagehide", leave);
  return () => {
    leave();
    clearInterval(watch);
    clearInterval(pings);
    pending.stop();
    window.removeEventListener("focus", ping);
    window.removeEventListener("blur", ping);
    window.removeEventListener("pagehide", leave);
    up = () => undefined;
  };
}

/** Attaches again after a snapshot was read anew, so that nothing between is missed. */
export function attachAgain(token: string | null, from: number): void {
  up({ kind: "attach", address: BASE + "/stream", token, from });
}
