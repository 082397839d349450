// Names of devices by id: alarms carry the id alone.

import { Problem, get } from "./api";
import { cell } from "./cell";
import { devices } from "./hub";

export const names = cell<ReadonlyMap<string, string>>(new Map());

/** Beyond this many a list of whole devices is too much for names alone. */
const LISTED_MAX = 1_000;

interface Points {
  id: string[];
  name?: (string | null)[];
}

function keep(pairs: Iterable<readonly [string, string | null | undefined]>): void {
  const map = new Map(names.get());
  for (const [id, name] of pairs) if (name) map.set(id, name);
  names.set(map);
}

/** Reads all names at once; where it fails, ids are shown. */
export async function loadNames(): Promise<void> {
  try {
    const points = await get<Points>("map/points");
    keep(points.id.map((id, i) => [id, points.name?.[i]] as const));
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) return;
    const page = await devices.list({ limit: LISTED_MAX }).catch(() => null);
    keep((page?.items ?? []).map((row) => [row.id, row.name] as const));
  }
}
