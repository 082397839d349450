// Gathers events and hands them on together: ten times a second are enough for eyes.

export interface Batch<T> {
  add(item: T, urgent?: boolean): void;
  flush(): void;
  stop(): void;
}

export const BATCH_MS = 100;
/** Urgent ones that come in a heap are drawn together all the same. */
const URGENT_GAP_MS = 50;

/** `waitMs` is asked each time: a hidden tab waits longer. What is urgent takes all before it along. */
export function batch<T>(hand: (items: T[]) => void, waitMs: () => number, now: () => number = () => performance.now()): Batch<T> {
  let items: T[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let handedAt = -Infinity;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    handedAt = now();
    if (items.length === 0) return;
    const full = items;
    items = [];
    hand(full);
  };
  return {
    add(item, urgent = false) {
      items.push(item);
      const restMs = URGENT_GAP_MS - (now() - handedAt);
      if (urgent && restMs <= 0) flush();
      else if (urgent) {
        clearTimeout(timer);
        timer = setTimeout(flush, restMs);
      } else timer ??= setTimeout(flush, waitMs());
    },
    flush,
    stop() {
      clearTimeout(timer);
      timer = undefined;
      items = [];
    },
  };
}
