// A value that tells who listens when it changes; Svelte reads it as `$cell`, tests as `cell.get()`.

export interface Readable<T> {
  get(): T;
  /** Calls `run` at once and after every change; the answer ends the subscription. */
  subscribe(run: (value: T) => void): () => void;
}

export interface Cell<T> extends Readable<T> {
  set(value: T): void;
  update(change: (value: T) => T): void;
}

export function cell<T>(initial: T): Cell<T> {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  const set = (next: T): void => {
    if (Object.is(next, value)) return;
    value = next;
    for (const listener of [...listeners]) listener(value);
  };
  return {
    get: () => value,
    set,
    update: (change) => set(change(value)),
    subscribe(run) {
      listeners.add(run);
      run(value);
      return () => listeners.delete(run);
    },
  };
}

/** A cell that follows another through a function. */
export function derived<A, B>(source: Readable<A>, from: (value: A) => B): Readable<B> {
  return {
    get: () => from(source.get()),
    subscribe: (run) => source.subscribe((value) => run(from(value))),
  };
}

/** A cell whose value outlives the page and is the same in all tabs; storage that is forbidden is as good as none. `heard` takes what another tab chose. */
export function stored<T extends string>(key: string, initial: T, known: readonly T[], heard?: (value: T) => void): Cell<T> {
  let first = initial;
  try {
    const found = localStorage.getItem(key) as T | null;
    if (found !== null && known.includes(found)) first = found;
  } catch {
    // Private windows may forbid storage.
  }
  const inner = cell<T>(first);
  globalThis.addEventListener?.("storage", ({ key: which, newValue }: StorageEvent) => {
    if (which === key && known.includes(newValue as T)) (heard ?? inner.set)(newValue as T);
  });
  const set = (value: T): void => {
    inner.set(value);
    try {
      localStorage.setItem(key, value);
    } catch {
      // The choice then lasts as long as the page.
    }
  };
  return { ...inner, set, update: (change) => set(change(inner.get())) };
}
