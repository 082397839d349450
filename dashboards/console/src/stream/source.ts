// Keeps one connection to the hub's stream open for ever, in a worker or in a tab.
//
// It reads with fetch and not with EventSource: only so can it send a token, see the status of a
// refusal, and give up a connection that is open but silent.

import { createParser, type RawEvent } from "./parser";

/** The hub beats every 5 s; four missed beats are a dead connection even if it is still open. */
const SILENCE_MS = 20_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 10_000;

export interface SourceListener {
  open(): void;
  event(event: RawEvent): void;
  lost(): void;
  /** The hub does not want us: 401 or 403. */
  refused(status: number): void;
}

export interface Source {
  stop(): void;
  /** Tries at once, instead of when the pause is over. */
  hurry(): void;
  cursor(): string;
}

export interface SourceOptions {
  address: string;
  token: string | null;
  from: number;
  random?: () => number;
}

export function keepOpen(options: SourceOptions, on: SourceListener): Source {
  let cursor = String(options.from);
  let stopped = false;
  let pauseMs = RETRY_FIRST_MS;
  let heardAt = performance.now();
  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const random = options.random ?? Math.random;

  const watchdog = setInterval(() => {
    if (performance.now() - heardAt > SILENCE_MS) abort.abort();
  }, 1_000);

  async function read(): Promise<void> {
    heardAt = performance.now();
    abort = new AbortController();
    const headers = new Headers({ accept: "text/event-stream", "last-event-id": cursor });
    if (options.token !== null) headers.set("authorization", `Bearer ${options.token}`);
    const answer = await fetch(`${options.address}?from=${encodeURIComponent(cursor)}`, {
      headers, cache: "no-store", credentials: "same-origin", signal: abort.signal,
    });
    if (answer.status === 401 || answer.status === 403) {
      stop();
      on.refused(answer.status);
      return;
    }
    if (!answer.ok || answer.body === null) throw new Error(`HTTP ${answer.status}`);
    heardAt = performance.now();
    pauseMs = RETRY_FIRST_MS;
    on.open();
    const decoder = new TextDecoder();
    const parse = createParser((event) => {
      if (event.id !== null) cursor = event.id;
      on.event(event);
    });
    const reader = answer.body.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("closed");
      heardAt = performance.now();
      parse(decoder.decode(value, { stream: true }));
    }
  }

  async function go(): Promise<void> {
    timer = undefined;
    try {
      await read();
    } catch {
      if (stopped) return;
      on.lost();
      // Jitter, so that a restarted hub is not met by every desk at once.
      timer = setTimeout(go, pauseMs * (0.5 + random()));
      pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS);
    }
  }

  function stop(): void {
    stopped = true;
    clearInterval(watchdog);
    clearTimeout(timer);
    abort.abort();
  }

  void go();
  return {
    stop,
    hurry() {
      if (stopped || timer === undefined) return;
      clearTimeout(timer);
      void go();
    },
    cursor: () => cursor,
  };
}
