// Which rows of a long list are in view.

const OVERSCAN = 6;

export interface View {
  top: number;
  height: number;
  rowPx: number;
  count: number;
}

/** Rows from `from` up to, but without, `to`; a few more on both sides, so that scrolling shows no gap. */
export function windowOf({ top, height, rowPx, count }: View): { from: number; to: number } {
  const first = Math.floor(Math.max(0, top) / rowPx);
  const many = Math.ceil(Math.max(0, height) / rowPx);
  const from = Math.max(0, Math.min(first, count - many) - OVERSCAN);
  return { from, to: Math.min(count, first + many + OVERSCAN) };
}
