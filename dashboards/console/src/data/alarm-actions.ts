// What people do to alarms, and how far each act has come: an act is done when the hub says so.

import { Problem } from "./api";
import { cell, type Cell, type Readable } from "./cell";
import { newKey } from "./key";
import type { Alarm, AlarmAction, AlarmRequest, BulkAnswer } from "./rows";

export type ActState = "sending" | "undelivered" | "conflict" | "refused";

export interface Act {
  id: string;
  action: AlarmAction;
  body: AlarmRequest;
  /** The row as the person saw it. */
  seen: Alarm;
  state: ActState;
  problem: Problem | null;
  key: string;
  at: number;
}

/** Without an answer by then, the row says so, although the request goes on. */
export const UNDELIVERED_MS = 3_000;
/** What was decided longer ago than this is asked again before it is sent again. */
export const STALE_MS = 60_000;

interface Ways {
  act(id: string, action: AlarmAction, body: AlarmRequest, key: string): Promise<Alarm>;
  bulk(action: AlarmAction, ids: string[], body: AlarmRequest, key: string): Promise<BulkAnswer>;
  /** Takes the row of an answer. */
  take(row: Alarm): void;
  now(): number;
}

export class AlarmActs {
  readonly #ways: Ways;
  readonly #acts: Cell<ReadonlyMap<string, Act>> = cell<ReadonlyMap<string, Act>>(new Map());

  constructor(ways: Ways) {
    this.#ways = ways;
  }

  /** By the id of the alarm; one act at a time for each. */
  get acts(): Readable<ReadonlyMap<string, Act>> {
    return this.#acts;
  }

  /** True when the hub has done it. */
  async act(row: Alarm, action: AlarmAction, body: AlarmRequest): Promise<boolean> {
    const before = this.#acts.get().get(row.id);
    if (before?.state === "sending") return false;
    return this.#send({
      id: row.id, action, body, seen: row, state: "sending", problem: null, key: newKey(), at: this.#ways.now(),
    });
  }

  /** Sends the same once more, with the same key: if it did arrive, it acts no second time. */
  async retry(id: string): Promise<boolean> {
    const act = this.#acts.get().get(id);
    if (act === undefined || act.state === "sending") return false;
    return this.#send({ ...act, state: "sending", problem: null });
  }

  /** Whether the act is so old that its person should decide again. */
  isStale(act: Act): boolean {
    return this.#ways.now() - act.at > STALE_MS;
  }

  drop(id: string): void {
    this.#change((map) => map.delete(id));
  }

  async bulk(rows: readonly Alarm[], action: AlarmAction, body: AlarmRequest, key = newKey()): Promise<BulkAnswer> {
    return this.#ways.bulk(action, rows.map((row) => row.id), body, key);
  }

  /** A newer row than the one acted on, which shows that the act has been done. */
  settle(row: Alarm): void {
    const act = this.#acts.get().get(row.id);
    if (act !== undefined && act.state !== "conflict" && row.version > act.seen.version && isDone(act, row)) this.drop(row.id);
  }

  async #send(act: Act): Promise<boolean> {
    this.#set(act);
    const late = setTimeout(() => this.#mark(act, "undelivered", null), UNDELIVERED_MS);
    try {
      const row = await this.#ways.act(act.id, act.action, { ...act.body, version: act.seen.version }, act.key);
      this.#ways.take(row);
      if (this.#acts.get().get(act.id)?.key === act.key) this.drop(act.id);
      return true;
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0, "unreachable", "", String(error));
      this.#mark(act, problem.undelivered || problem.status === 423 ? "undelivered" : problem.status === 409 ? "conflict" : "refused", problem);
      const now = problem.members.alarm;
      if (problem.status === 409 && typeof now === "object" && now !== null) this.#ways.take(now as Alarm);
      return false;
    } finally {
      clearTimeout(late);
    }
  }

  #mark(act: Act, state: ActState, problem: Problem | null): void {
    if (this.#acts.get().get(act.id)?.key === act.key) this.#set({ ...act, state, problem });
  }

  #set(act: Act): void {
    this.#change((map) => map.set(act.id, act));
  }

  #change(change: (map: Map<string, Act>) => void): void {
    const map = new Map(this.#acts.get());
    change(map);
    this.#acts.set(map);
  }
}

function isDone(act: Act, row: Alarm): boolean {
  if (act.action === "ack") return row.acked;
  if (act.action === "shelve") return row.state === "shelved";
  if (act.action === "out_of_service") return row.state === "out_of_service";
  return true;
}

/** Which acts make sense for a row in its state; the hub decides in any case. */
export function possible(row: Alarm): readonly AlarmAction[] {
  const always: AlarmAction[] = ["assign", "comment"];
  switch (row.state) {
    case "active_unacked":
    case "cleared_unacked":
    case "latched_unacked":
      return ["ack", "shelve", "false_alarm", "out_of_service", ...always];
    case "active_acked":
      return ["shelve", "false_alarm", "out_of_service", ...always];
    case "latched_acked":
      return ["reset", "shelve", "false_alarm", "out_of_service", ...always];
    case "shelved":
      return ["unshelve", ...always];
    case "out_of_service":
      return ["in_service", ...always];
    case "suppressed":
      return ["out_of_service", ...always];
    default:
      return ["comment"];
  }
}

/** What is different now from what the person saw: the reason for a conflict. */
export function changed(seen: Alarm, now: Alarm): ("severity" | "state" | "owner")[] {
  return (["severity", "state", "owner"] as const).filter((field) => seen[field] !== now[field]);
}
