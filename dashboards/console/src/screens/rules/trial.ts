// A backtest: asking for it line by line, and what its answer says by day.

import { wallOf } from "../../chart/axis";
import { Problem, problemOf, request } from "../../data/api";
import type { Alarm } from "../../data/rows";

export interface TrialAlarm extends Alarm { announced?: boolean; late?: boolean }
interface Totals { in_force: number; tested: number; same: number; gained: number; lost: number; moved: number }
interface Load { announced: number; max: number; max_at: string | null; flood_pct: number; floods: number; mean: number }
interface KindCoverage { devices: number; heard: number; share_pct: number | null; gaps: number }

export interface Trial {
  coverage: {
    from: string; to: string; readings: number; devices: number; first_received: string | null; last_received: string | null; share_pct: number | null;
    kinds: Record<string, KindCoverage>; gaps_total: number; gaps: { device: string; kind: string; from: string; to: string; seconds: number }[];
  };
  alarms: TrialAlarm[];
  alarms_total: number;
  rate_per_10_min: { tested: Load | null; in_force: Load | null };
  diff: {
    total: Totals; gained_total: number; lost_total: number; moved_total: number;
    gained: TrialAlarm[]; lost: TrialAlarm[]; moved: { in_force: TrialAlarm; tested: TrialAlarm }[];
  };
}

export interface Progress { done: number; total: number; at: string; readings: number }

type Line = Partial<Trial> & { progress?: Progress; problem?: Record<string, unknown> };

/** Calls `told` with the progress; to hang up ends it in the hub, too. */
export async function runTrial(body: unknown, told: (progress: Progress) => void, signal: AbortSignal): Promise<Trial> {
  const answer = await request("rules/backtest", { method: "POST", body, query: { stream: true }, deadlineMs: 60_000, signal });
  const reader = answer.body?.getReader();
  if (reader === undefined) throw new Problem(0, "unreachable", "", "");
  const hangUp = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", hangUp);
  const decoder = new TextDecoder();
  let rest = "";
  let found: Trial | null = null;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += decoder.decode(value, { stream: !done });
      const lines = rest.split("\n");
      rest = done ? "" : lines.pop() ?? "";
      for (const text of lines) {
        if (text.trim() === "") continue;
        const line = JSON.parse(text) as Line;
        if (line.problem) throw problemOf(Number(line.problem.status ?? 500), JSON.stringify(line.problem));
        if (line.progress) told(line.progress);
        else found = line as Trial;
      }
      if (done) break;
    }
  } finally {
    signal.removeEventListener("abort", hangUp);
  }
  if (signal.aborted) throw new Problem(0, "cancelled", "cancelled", "");
  if (found === null) throw new Problem(0, "unreachable", "", "");
  return found;
}

export interface Bar { label: string; now: number; draft: number }

/** Alarms by day of the city's calendar, by hour where the period is two days or less. */
export function barsOf(trial: Pick<Trial, "alarms" | "diff">, fromMs: number, toMs: number, timeZone: string): Bar[] {
  const step = toMs - fromMs <= 2 * 86_400_000 ? 3_600_000 : 86_400_000;
  const slot = (at: string | number): number => Math.floor(wallOf(typeof at === "number" ? at : Date.parse(at), timeZone) / step);
  const first = slot(fromMs);
  const bars: Bar[] = Array.from({ length: Math.max(1, slot(toMs - 1) - first + 1) }, (_, at) => {
    const wall = new Date((first + at) * step).toISOString();
    return { label: step === 3_600_000 ? wall.slice(11, 16) : wall.slice(5, 10), now: 0, draft: 0 };
  });
  const add = (row: TrialAlarm, which: "now" | "draft", by: number): void => {
    const bar = bars[slot(row.raised_at) - first];
    if (bar) bar[which] += by;
  };
  for (const row of trial.alarms) { add(row, "draft", 1); add(row, "now", 1); }
  for (const row of trial.diff.gained) add(row, "now", -1);
  for (const row of trial.diff.lost) add(row, "now", 1);
  for (const { in_force, tested } of trial.diff.moved) { add(tested, "now", -1); add(in_force, "now", 1); }
  return bars;
}

export interface Verdicts { real: number; real_lost: number; wrong: number; wrong_lost: number }

/** What people said of the recorded alarms, and which of those the draft would not have raised. */
export function verdictsOf(recorded: readonly Alarm[], lost: readonly TrialAlarm[]): Verdicts {
  const gone = new Set(lost.map((row) => `${row.device} ${Date.parse(row.raised_at)}`));
  const isGone = (row: Alarm): boolean => gone.has(`${row.device} ${Date.parse(row.raised_at)}`);
  const wrong = recorded.filter((row) => row.verdict === "false_alarm");
  const real = recorded.filter((row) => row.verdict !== "false_alarm" && row.case !== null && !row.shadow);
  return { real: real.length, real_lost: real.filter(isGone).length, wrong: wrong.length, wrong_lost: wrong.filter(isGone).length };
}
