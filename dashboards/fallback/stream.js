// The live link: server-sent events read with fetch, because EventSource cannot send a token.

// The server beats every 5 s; two missed beats and a little are a broken link.
const SILENCE_MS = 12_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 15_000;

// Splits a stream of text into events: {id, event, data}. A field may be cut anywhere.
export function createParser(emit) {
  let rest = "";
  let fields = { event: "message", data: [], id: null };
  const line = (text) => {
    if (text === "") {
      if (fields.data.length > 0) emit({ event: fields.event, data: fields.data.join("\n"), id: fields.id });
      fields = { event: "message", data: [], id: null };
      return;
    }
    if (text.startsWith(":")) return;
    const colon = text.indexOf(":");
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (name === "data") fields.data.push(value);
    else if (name === "event") fields.event = value;
    else if (name === "id") fields.id = value;
  };
  return (chunk) => {
    rest += chunk;
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const text of lines) line(text.replace(/\r$/, ""));
  };
}

// Keeps one link open for ever. `on` has open(), event(e), lost(reason), refused(status).
export function keepLink(token, from, on) {
  let cursor = String(from);
  let stopped = false;
  let retryMs = RETRY_FIRST_MS;
  let heardAt = performance.now();
  let abort = new AbortController();
  let timer = 0;

  const watchdog = setInterval(() => {
    if (performance.now() - heardAt > SILENCE_MS) abort.abort();
  }, 500);

  async function read() {
    heardAt = performance.now();
    abort = new AbortController();
    const answer = await fetch(`/api/v1/stream?from=${encodeURIComponent(cursor)}`, {
      headers: { authorization: `Bearer ${token}`, "last-event-id": cursor },
      cache: "no-store", signal: abort.signal,
    });
    if (answer.status === 401 || answer.status === 403) {
      stop();
      on.refused(answer.status);
      return;
    }
    if (!answer.ok || !answer.body) throw new Error(`HTTP ${answer.status}`);
    heardAt = performance.now();
    retryMs = RETRY_FIRST_MS;
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

  async function go() {
    try {
      await read();
    } catch (error) {
      if (stopped) return;
      on.lost(String(error));
      // Jitter, so that a restarted server is not met by every desk at once.
      timer = setTimeout(go, retryMs * (0.5 + Math.random()));
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }
  }

  function stop() {
    stopped = true;
    clearInterval(watchdog);
    clearTimeout(timer);
    abort.abort();
  }

  go();
  return { stop };
}
