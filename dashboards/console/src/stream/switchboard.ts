// One connection for all tabs: keeps it, remembers the last events for tabs that come later, and
// chooses the one tab that sounds. It runs in the shared worker, or alone in a tab without one.

import type { RawEvent } from "./parser";
import type { Source, SourceListener, SourceOptions } from "./source";

export type Up =
  | { kind: "attach"; address: string; token: string | null; from: number }
  | { kind: "detach" }
  | { kind: "ping"; focused: boolean; sound: boolean }
  | { kind: "say"; message: unknown };

export type Down =
  | { kind: "open" }
  | { kind: "event"; event: RawEvent }
  | { kind: "lost" }
  | { kind: "refused"; status: number }
  | { kind: "reset"; reason: string }
  | { kind: "sound"; here: boolean }
  | { kind: "said"; message: unknown };

/** Enough for the seconds between a snapshot and the attachment of a tab. */
const KEPT_EVENTS_MAX = 2_000;
/** Browsers wake the timers of a hidden tab once a minute. */
const SILENT_TAB_MS = 150_000;

export interface Tab {
  send(message: Down): void;
}

interface Seat {
  attached: boolean;
  heardAt: number;
  focused: boolean;
  sound: boolean;
  focusedAt: number;
  sounding: boolean | null;
}

export class Switchboard {
  readonly #open: (options: SourceOptions, on: SourceListener) => Source;
  readonly #now: () => number;
  readonly #seats = new Map<Tab, Seat>();
  #source: Source | null = null;
  #token: string | null = null;
  #isOpen = false;
  #kept: { seq: number; event: RawEvent }[] = [];
  /** Everything after this number is in `#kept`. */
  #keptFrom = 0;
  #cursor = 0;

  constructor(open: (options: SourceOptions, on: SourceListener) => Source, now: () => number) {
    this.#open = open;
    this.#now = now;
  }

  get tabs(): number {
    return this.#seats.size;
  }

  hear(tab: Tab, message: Up): void {
    if (message.kind === "detach") {
      this.#leave(tab);
      return;
    }
    const seat = this.#seats.get(tab) ?? {
      attached: false, heardAt: 0, focused: false, sound: false, focusedAt: 0, sounding: null,
    };
    seat.heardAt = this.#now();
    this.#seats.set(tab, seat);
    if (message.kind === "attach") this.#attach(tab, seat, message);
    else if (message.kind === "ping") {
      if (message.focused) seat.focusedAt = this.#now();
      seat.focused = message.focused;
      seat.sound = message.sound;
      this.sweep();
    } else {
      for (const other of this.#seats.keys()) if (other !== tab) other.send({ kind: "said", message: message.message });
    }
  }

  /** Forgets tabs that are gone without a word, and chooses who sounds. */
  sweep(): void {
    for (const [tab, seat] of this.#seats) if (this.#now() - seat.heardAt > SILENT_TAB_MS) this.#leave(tab);
    this.#elect();
  }

  #attach(tab: Tab, seat: Seat, message: Extract<Up, { kind: "attach" }>): void {
    seat.attached = true;
    if (this.#source !== null && this.#token !== message.token) this.#close();
    if (this.#source === null) {
      this.#token = message.token;
      this.#kept = [];
      this.#keptFrom = message.from;
      this.#cursor = message.from;
      this.#source = this.#open({ address: message.address, token: message.token, from: message.from }, {
        open: () => { this.#isOpen = true; this.#all({ kind: "open" }); },
        event: (event) => this.#take(event),
        lost: () => { this.#isOpen = false; this.#all({ kind: "lost" }); },
        refused: (status) => { this.#close(); this.#all({ kind: "refused", status }); },
      });
      return;
    }
    if (this.#isOpen) tab.send({ kind: "open" });
    else this.#source.hurry();
    if (message.from < this.#keptFrom) {
      // What lies between is no longer here: the tab must read its snapshot again.
      tab.send({ kind: "reset", reason: "attached_late" });
      return;
    }
    for (const { seq, event } of this.#kept) if (seq > message.from) tab.send({ kind: "event", event });
  }

  #take(event: RawEvent): void {
    if (event.event === "reset") {
      this.#kept = [];
      this.#keptFrom = Number.MAX_SAFE_INTEGER;
    }
    const seq = event.id === null ? NaN : Number(event.id);
    if (event.event !== "hb" && event.event !== "reset" && seq > this.#cursor) {
      this.#cursor = seq;
      if (this.#keptFrom === Number.MAX_SAFE_INTEGER) this.#keptFrom = seq;
      this.#kept.push({ seq, event });
      if (this.#kept.length > KEPT_EVENTS_MAX) {
        const gone = this.#kept.splice(0, this.#kept.length - KEPT_EVENTS_MAX);
        this.#keptFrom = gone[gone.length - 1]?.seq ?? this.#keptFrom;
      }
    }
    this.#all({ kind: "event", event });
  }

  #all(message: Down): void {
    for (const [tab, seat] of this.#seats) if (seat.attached) tab.send(message);
  }

  #leave(tab: Tab): void {
    if (!this.#seats.delete(tab)) return;
    if (![...this.#seats.values()].some((seat) => seat.attached)) this.#close();
    this.#elect();
  }

  #close(): void {
    this.#source?.stop();
    this.#source = null;
    this.#isOpen = false;
    this.#kept = [];
  }

  #elect(): void {
    let best: Seat | null = null;
    for (const seat of this.#seats.values()) {
      if (!seat.sound) continue;
      if (best === null || Number(seat.focused) > Number(best.focused)
        || (seat.focused === best.focused && seat.focusedAt > best.focusedAt)) best = seat;
    }
    for (const [tab, seat] of this.#seats) {
      const here = seat === best;
      if (seat.sounding === here) continue;
      seat.sounding = here;
      tab.send({ kind: "sound", here });
    }
  }
}
