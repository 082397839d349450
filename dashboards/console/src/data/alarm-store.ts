// All alarms that are not over, kept from one snapshot and the live link.

import { alarms } from "./hub";
import { Problem } from "./api";
import { compareAlarms, isUnacked, placeOf } from "./alarm-order";
import { wasTold } from "./alarms-since";
import { cell, type Readable } from "./cell";
import { SEVERITIES, type Alarm, type AlarmPage, type AlarmState, type LiveCounts, type Severity } from "./rows";

export const ROWS_MAX = 5_000;
/** What has become normal stays visible for a while, so that nobody wonders where it went. */
export const NORMAL_STAYS_MS = 10 * 60_000;
const UNACKED = ["active_unacked", "latched_unacked", "cleared_unacked"] as const;
const FLOOD_WINDOW_MS = 10 * 60_000;
/** EEMUA 191, ISA-18.2: more than ten in ten minutes is a flood; it ends below five. */
export const FLOOD_BEGINS_ABOVE = 10;
export const FLOOD_ENDS_BELOW = 5;

export interface AlarmTally {
  unacked: Record<Severity, number>;
  open: number;
  state: Record<AlarmState, number>;
}

export interface AlarmView {
  /** Grows with each change. */
  revision: number;
  loaded: boolean;
  /** When the last snapshot was read, by the browser's clock. */
  readAt: number | null;
  problem: Problem | null;
  /** More alarms are open than the console holds: then counts come from the hub. */
  total: number;
  complete: boolean;
  /** Further parts of the snapshot are on their way. */
  arriving: boolean;
  tally: AlarmTally;
  rate10min: number;
  flood: boolean;
  /** What the hub counts with each beat; null until the first one. */
  live: LiveCounts | null;
}

function emptyTally(): AlarmTally {
  return {
    unacked: { critical: 0, major: 0, minor: 0, warning: 0 },
    open: 0,
    state: {
      active_unacked: 0, latched_unacked: 0, cleared_unacked: 0, active_acked: 0, latched_acked: 0,
      shelved: 0, suppressed: 0, out_of_service: 0, normal: 0,
    },
  };
}

export interface AlarmNews {
  row: Alarm;
  before: Alarm | undefined;
}

export class AlarmStore {
  readonly #rows = new Map<string, Alarm>();
  readonly #overAt = new Map<string, number>();
  /** When people were told of what, by alarm and time: only that is load, not what was suppressed. */
  readonly #announced = new Map<string, number>();
  readonly #listeners = new Set<(news: AlarmNews[]) => void>();
  readonly #view = cell<AlarmView>({
    revision: 0, loaded: false, readAt: null, problem: null, total: 0, complete: true, arriving: false,
    tally: emptyTally(), rate10min: 0, flood: false, live: null,
  });
  readonly #now: () => number;
  #counts: AlarmPage["counts"] | null = null;
  #sorted: Alarm[] | null = null;
  #asOf = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get view(): Readable<AlarmView> {
    return this.#view;
  }

  get asOf(): number {
    return this.#asOf;
  }

  get(id: string): Alarm | undefined {
    return this.#rows.get(id);
  }

  /** All rows, in the order in which they are read. */
  rows(): readonly Alarm[] {
    this.#sorted ??= [...this.#rows.values()].sort(compareAlarms);
    return this.#sorted;
  }

  /** Moves one row to its new place, so that nobody sorts five thousand because of one. */
  #move(before: Alarm | undefined, row: Alarm | undefined): void {
    const sorted = this.#sorted;
    if (sorted === null) return;
    if (before !== undefined) {
      const at = placeOf(sorted, before);
      if (sorted[at] === before) sorted.splice(at, 1);
      else this.#sorted = null;
    }
    if (row !== undefined) this.#sorted?.splice(placeOf(sorted, row), 0, row);
  }

  /** Calls `take` with rows that are new or changed through the link (not through a snapshot). */
  onNews(take: (news: AlarmNews[]) => void): () => void {
    this.#listeners.add(take);
    return () => this.#listeners.delete(take);
  }

  /** A snapshot is the truth of its moment; rows that the link has already told newer stay. */
  load(page: AlarmPage): void {
    this.begin(page);
    this.end(page, new Set(page.items.map((row) => row.id)));
  }

  /** A part of a snapshot: its rows are shown, nothing is forgotten before the rest is here. */
  begin(page: AlarmPage): void {
    this.#sorted = null;
    for (const row of page.items) this.#put(row);
    this.#counts = page.counts;
    this.#asOf = Math.max(this.#asOf, page.as_of_seq);
    const arriving = page.next !== null;
    this.#publish({ loaded: true, problem: null, total: page.counts.total, arriving, complete: this.#view.get().complete && !arriving });
  }

  /** The last part came: what the snapshot did not hold is over. */
  end(last: AlarmPage, present: ReadonlySet<string>): void {
    for (const [id, row] of this.#rows) {
      if (!present.has(id) && row.state !== "normal") this.#rows.delete(id);
    }
    this.#sorted = null;
    this.#publish({ readAt: this.#now(), arriving: false, complete: last.next === null });
  }

  fail(problem: Problem): void {
    this.#publish({ problem });
  }

  /** Rows of events. `seq` is that of the last one. */
  take(rows: readonly Alarm[], seq = 0): void {
    const news: AlarmNews[] = [];
    for (const row of rows) {
      const before = this.#rows.get(row.id);
      if (!this.#put(row)) continue;
      news.push({ row, before });
    }
    this.#asOf = Math.max(this.#asOf, seq);
    if (news.length === 0) return;
    this.#publish({});
    for (const listener of this.#listeners) listener(news);
  }

  /** Forgets what has been normal for long; called once in a while. */
  sweep(): void {
    const until = this.#now() - NORMAL_STAYS_MS;
    let changed = false;
    for (const [id, at] of this.#overAt) {
      if (at > until) continue;
      this.#overAt.delete(id);
      const row = this.#rows.get(id);
      this.#move(row, undefined);
      changed = this.#rows.delete(id) || changed;
    }
    if (changed || (this.#view.get().live === null && this.#rate() !== this.#view.get().rate10min)) this.#publish({});
  }

  clear(): void {
    this.#rows.clear();
    this.#sorted = null;
    this.#overAt.clear();
    this.#announced.clear();
    this.#counts = null;
    this.#asOf = 0;
    this.#publish({ loaded: false, readAt: null, problem: null, total: 0, complete: true, arriving: false, live: null });
  }

  #put(row: Alarm): boolean {
    const before = this.#rows.get(row.id);
    if (before !== undefined && before.version >= row.version) return false;
    if (row.state === "normal") {
      if (before === undefined) return false;
      this.#overAt.set(row.id, this.#now());
    } else this.#overAt.delete(row.id);
    this.#rows.set(row.id, row);
    this.#move(before, row);
    const toldAt = wasTold(row) ? Date.parse(row.announced_at ?? "") : NaN;
    if (toldAt >= this.#now() - FLOOD_WINDOW_MS) this.#announced.set(`${row.id} ${toldAt}`, toldAt);
    return true;
  }

  #rate(): number {
    const from = this.#now() - FLOOD_WINDOW_MS;
    for (const [key, at] of this.#announced) if (at < from) this.#announced.delete(key);
    return this.#announced.size;
  }

  /** The hub counts all that it announced, also before this page was opened. */
  count(live: LiveCounts): void {
    this.#publish({ live });
  }

  #tally(complete: boolean): AlarmTally {
    const tally = emptyTally();
    for (const row of this.#rows.values()) {
      tally.state[row.state] += 1;
      if (isUnacked(row)) tally.unacked[row.severity] += 1;
    }
    // What is held is all there is, unless the list was cut: then the hub's counts are the truth.
    if (!complete) this.#correct(tally);
    const s = tally.state;
    tally.open = s.active_unacked + s.latched_unacked + s.cleared_unacked + s.active_acked + s.latched_acked;
    return tally;
  }

  #correct(tally: AlarmTally): void {
    const live = this.#view.get().live;
    const state = live?.state ?? this.#counts?.state;
    if (state !== undefined) Object.assign(tally.state, state);
    if (live?.matrix === undefined) return;
    for (const severity of SEVERITIES) {
      tally.unacked[severity] = UNACKED.reduce((sum, one) => sum + (live.matrix?.[one]?.[severity] ?? 0), 0);
    }
  }

  #publish(change: Partial<AlarmView>): void {
    const before = this.#view.get();
    const live = change.live ?? before.live;
    // The hub counts for all desks alike; a hub that does not leaves it to us.
    const rate10min = live?.rate_10min ?? this.#rate();
    const flood = live !== null ? live.flood_since !== null
      : before.flood ? rate10min >= FLOOD_ENDS_BELOW : rate10min > FLOOD_BEGINS_ABOVE;
    const complete = change.complete ?? before.complete;
    this.#view.set({ ...before, ...change, revision: before.revision + 1, tally: this.#tally(complete), rate10min, flood });
  }
}

export const alarmStore = new AlarmStore(() => Date.now());

/** So many rows are parsed and drawn without a pause that a hand would feel. */
const PART_ROWS = 500;
/** What is seen first is read first. */
const FIRST_PART_ROWS = 100;

/**
 * Reads the snapshot in parts, the most urgent first; the answer is the number from which the stream goes on.
 * That is the number of the first part: what changed while the others were read comes again through the stream.
 */
export async function readAlarms(store = alarmStore, read: typeof alarms.list = alarms.list): Promise<number> {
  try {
    const present = new Set<string>();
    let cursor: string | null = null;
    let from: number | null = null;
    for (;;) {
      const page: AlarmPage = await read({ limit: from === null ? FIRST_PART_ROWS : PART_ROWS, sort: "priority", cursor });
      for (const row of page.items) present.add(row.id);
      from ??= page.as_of_seq;
      const last = page.next === null || present.size >= ROWS_MAX;
      store.begin(last ? { ...page, next: null } : page);
      cursor = page.next;
      if (!last) continue;
      store.end(page, present);
      return from;
    }
  } catch (error) {
    if (error instanceof Problem) store.fail(error);
    throw error;
  }
}
