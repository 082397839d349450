// Gathers events and hands them on together: ten times a second are enough for eyes.

export interface Batch<T> {
  add(item: T, urgent?: boolean): void;
  flush(): void;
  stop(): void;
}

export const BATCH_MS = 100;

/** `waitMs` is asked each time: a hidden tab waits longer. What is urgent takes all before it along. */
export function batch<T>(hand: (items: T[]) => void, waitMs: () => number): Batch<T> {
  let items: T[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (items.length === 0) return;
    const full = items;
    items = [];
    hand(full);
  };
  return {
    add(item, urgent = false) {
      items.push(item);
      if (urgent) flush();
      else timer ??= setTimeout(flush, waitMs());
    },
    flush,
    stop() {
      clearTimeout(timer);
      timer = undefined;
      items = [];
    },
  };
}
