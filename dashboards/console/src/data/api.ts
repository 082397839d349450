// The one way to the hub: headers, deadlines, retries of what may be repeated, problems as errors.

import { newKey } from "./key";
import { skewMs } from "./time";

export const BASE = "/api/v1";
const DEADLINE_MS = 10_000;
const GET_TRIES = 3;
const GET_PAUSE_MS = 400;

/** What the hub said no with (RFC 9457), or why it could not be asked: `status` is then 0. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly requestId: string;
  /** Further members, such as `version` and `alarm` of a conflict, `until` of a lock-out. */
  readonly members: Record<string, unknown>;

  constructor(status: number, code: string, title: string, detail: string, requestId = "", members: Record<string, unknown> = {}) {
    super(detail || title);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = detail;
    this.requestId = requestId;
    this.members = members;
  }

  /** Nobody answered, or too late, or the hub is busy: the same request may go again with the same key. */
  get undelivered(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

export interface Access {
  /** A bearer token; null means the cookie of a session. */
  token(): string | null;
  /** Called on 401, and on 423 with `locked`. */
  refused(problem: Problem): void;
}

let access: Access = { token: () => null, refused: () => undefined };

/** Told once by the session, so that this module knows nothing of it. */
export function giveAccess(given: Access): void {
  access = given;
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: Record<string, string | number | boolean | null | undefined>;
  /** Sent as JSON, unless it is a string with a `type` of its own. */
  body?: unknown;
  type?: string;
  /** The key of a mutation; a new one unless given. A retry must give that of the first try. */
  key?: string;
  ifMatch?: string | number;
  deadlineMs?: number;
  signal?: AbortSignal;
  /** Set by the sign-in: a refusal there does not end a session. */
  quiet?: boolean;
}

export function address(path: string, query?: RequestOptions["query"]): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return `${BASE}/${path}${text ? `?${text}` : ""}`;
}

function headersOf(options: RequestOptions): Headers {
  const headers = new Headers({ accept: "application/json" });
  const token = access.token();
  if (token !== null) headers.set("authorization", `Bearer ${token}`);
  if ((options.method ?? "GET") !== "GET") {
    headers.set("x-requested-by", "console");
    headers.set("idempotency-key", options.key ?? newKey());
  }
  if (options.body !== undefined) headers.set("content-type", options.type ?? "application/json");
  if (options.ifMatch !== undefined) headers.set("if-match", `"${options.ifMatch}"`);
  return headers;
}

export function problemOf(status: number, text: string): Problem {
  try {
    const members = JSON.parse(text) as Record<string, unknown>;
    const word = (name: string): string => (typeof members[name] === "string" ? (members[name] as string) : "");
    // `type` is a URI that ends with the code.
    const code = word("code") || word("type").split(/[/#:]/).pop() || String(status);
    return new Problem(status, code, word("title"), word("detail"), word("request_id"), members);
  } catch {
    return new Problem(status, String(status), `HTTP ${status}`, text.slice(0, 200));
  }
}

const CLOCK_COARSE_MS = 2_000;

/** Before the first beat of the stream the head of an answer tells the hub's clock, to the second. */
export function tellClock(date: string | null, nowMs: number): void {
  const off = Date.parse(date ?? "") + 500 - nowMs;
  if (skewMs.get() === 0 && Math.abs(off) > CLOCK_COARSE_MS) skewMs.set(off);
}

async function once(path: string, options: RequestOptions): Promise<Response> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  const timer = setTimeout(stop, options.deadlineMs ?? DEADLINE_MS);
  options.signal?.addEventListener("abort", stop);
  try {
    const body = options.body === undefined ? undefined
      : typeof options.body === "string" && options.type ? options.body : JSON.stringify(options.body);
    const answer = await fetch(address(path, options.query), {
      method: options.method ?? "GET", headers: headersOf(options), body,
      cache: "no-store", credentials: "same-origin", signal: abort.signal,
    });
    tellClock(answer.headers.get("date"), Date.now());
    if (answer.ok) return answer;
    const problem = problemOf(answer.status, await answer.text().catch(() => ""));
    if (!options.quiet && (problem.status === 401 || problem.status === 423)) access.refused(problem);
    throw problem;
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (options.signal?.aborted) throw new Problem(0, "cancelled", "cancelled", "");
    throw new Problem(0, abort.signal.aborted ? "timeout" : "unreachable", "no answer", String(error));
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
  }
}

/** The answer itself, for downloads. A GET that nobody answered is asked again, nothing else is. */
export async function request(path: string, options: RequestOptions = {}): Promise<Response> {
  const tries = (options.method ?? "GET") === "GET" ? GET_TRIES : 1;
  for (let done = 1; ; done += 1) {
    try {
      return await once(path, options);
    } catch (error) {
      const again = error instanceof Problem && error.undelivered && error.code !== "cancelled" && done < tries;
      if (!again) throw error;
      await new Promise((resolve) => setTimeout(resolve, GET_PAUSE_MS * 2 ** (done - 1)));
    }
  }
}

export async function get<T>(path: string, query?: RequestOptions["query"], options: RequestOptions = {}): Promise<T> {
  const answer = await request(path, { ...options, query });
  return (await answer.json()) as T;
}

/** Changes something; `options.key` repeats an earlier try. */
export async function send<T>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown, options: RequestOptions = {}): Promise<T> {
  const answer = await request(path, { ...options, method, body });
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export const post = <T>(path: string, body?: unknown, options?: RequestOptions): Promise<T> => send<T>("POST", path, body, options);
export const put = <T>(path: string, body?: unknown, options?: RequestOptions): Promise<T> => send<T>("PUT", path, body, options);
export const patch = <T>(path: string, body?: unknown, options?: RequestOptions): Promise<T> => send<T>("PATCH", path, body, options);
export const remove = <T>(path: string, options?: RequestOptions): Promise<T> => send<T>("DELETE", path, undefined, options);
