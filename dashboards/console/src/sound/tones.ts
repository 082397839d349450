// What each urgency sounds like. Made in code, so that no file can be missing.

export type Tone = "critical" | "major" | "minor" | "link_lost" | "shelf_end";

export interface Note {
  /** Seconds after the beginning. */
  at: number;
  hz: number;
  /** Where the pitch glides to. */
  toHz?: number;
  seconds: number;
}

export interface Pattern {
  notes: readonly Note[];
  /** Seconds until it sounds again; null sounds once. */
  every: number | null;
}

/** Different in rhythm, not only in pitch: they are told apart by tired ears and in a noisy room. */
export const PATTERNS: Record<Tone, Pattern> = {
  critical: { every: 1, notes: [{ at: 0, hz: 960, seconds: 0.45 }, { at: 0.5, hz: 720, seconds: 0.45 }] },
  major: { every: 5, notes: [{ at: 0, hz: 760, seconds: 0.16 }, { at: 0.28, hz: 760, seconds: 0.16 }] },
  minor: { every: 60, notes: [{ at: 0, hz: 590, seconds: 0.22 }] },
  link_lost: { every: 30, notes: [{ at: 0, hz: 660, seconds: 0.22 }, { at: 0.28, hz: 520, seconds: 0.22 }, { at: 0.56, hz: 390, toHz: 330, seconds: 0.35 }] },
  shelf_end: { every: null, notes: [{ at: 0, hz: 990, seconds: 0.7 }] },
};
