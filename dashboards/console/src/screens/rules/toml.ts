// Rules as the text of a rule file, and back: the part of TOML that rule files use.

export type Draft = Record<string, unknown>;

/** What the hub adds; it is no part of a rule file. */
const ADDED = ["id", "revision", "pending", "figures_7d"];

const BARE = /^[A-Za-z0-9_-]+$/;
const keyText = (key: string): string => (BARE.test(key) ? key : JSON.stringify(key));

function valueText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) {
    const parts = value.map(valueText);
    return value.some((one) => typeof one === "object") && parts.length > 1 ? `[\n${parts.map((one) => `  ${one},\n`).join("")}]` : `[${parts.join(", ")}]`;
  }
  if (value !== null && typeof value === "object") {
    const parts = Object.entries(value).map(([key, one]) => `${keyText(key)} = ${valueText(one)}`);
    return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
  }
  return String(value);
}

const ORDER = [
  "title", "kind", "select", "devices", "metric", "aggregate", "window_s", "align", "min_coverage_pct", "above", "below", "fall", "rise", "levels", "deadband", "on_delay_s", "off_delay_s",
  "severity", "category", "schedule",
];
const rank = (key: string): number => (ORDER.indexOf(key) + 1 || 99);

export const keysInOrder = (rule: Draft): string[] => Object.keys(rule).filter((key) => !ADDED.includes(key) && rule[key] !== undefined && rule[key] !== null)
  .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));

export function tomlOf(id: string, rule: Draft): string {
  return `[rules.${keyText(id)}]\n${keysInOrder(rule).map((key) => `${keyText(key)} = ${valueText(rule[key])}\n`).join("")}`;
}

/** What is wrong with a text, and on which line. */
export class TextError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const TOKEN = /("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_+\-.:]+|[[\]{},=])|(\n)|([ \t\r]+)|(#[^\n]*)/y;

/** Reads one rule; a line break counts in tables of the file, not in lists. */
export function readToml(text: string): { id: string | null; rule: Draft } {
  const tokens: { text: string; line: number }[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const found = TOKEN.exec(text);
    if (found === null) throw new TextError(line, "?");
    if (found[1] !== undefined) tokens.push({ text: found[1], line });
    else if (found[2] !== undefined) { tokens.push({ text: "\n", line }); line += 1; }
  }
  let at = 0;
  const peek = (): string => tokens[at]?.text ?? "";
  const lineNow = (): number => tokens[Math.min(at, tokens.length - 1)]?.line ?? 1;
  const skip = (): void => { while (peek() === "\n") at += 1; };
  const expect = (wanted: string): void => {
    if (peek() !== wanted) throw new TextError(lineNow(), `${wanted} ← ${JSON.stringify(peek())}`);
    at += 1;
  };
  const word = (token: string): string => {
    if (token.startsWith("\"")) return JSON.parse(token) as string;
    return token.startsWith("'") ? token.slice(1, -1) : token;
  };
  const path = (): string[] => {
    const token = peek();
    if (token === "" || /^[[\]{},=\n]$/.test(token)) throw new TextError(lineNow(), `key ← ${JSON.stringify(token)}`);
    at += 1;
    // A dotted key is one token unless a part is quoted.
    const parts = /^["']/.test(token) ? [word(token)] : token.split(".");
    if (parts[parts.length - 1] === "") return [...parts.slice(0, -1), ...path()];
    return parts;
  };
  const put = (target: Draft, keys: string[], value: unknown): void => {
    const last = keys[keys.length - 1] ?? "";
    let inner = target;
    for (const key of keys.slice(0, -1)) inner = (inner[key] ??= {}) as Draft;
    if (last in inner) throw new TextError(lineNow(), `${last} ×2`);
    inner[last] = value;
  };
  const value = (): unknown => {
    const token = peek();
    if (token === "[") return list();
    if (token === "{") return table();
    at += 1;
    if (/^["']/.test(token)) return word(token);
    if (token === "true" || token === "false") return token === "true";
    const number = Number(token.replace(/_/g, ""));
    if (token === "" || token === "\n" || Number.isNaN(number)) { at -= 1; throw new TextError(lineNow(), `value ← ${JSON.stringify(token)}`); }
    return number;
  };
  const list = (): unknown[] => {
    const found: unknown[] = [];
    expect("[");
    for (skip(); peek() !== "]"; skip()) {
      found.push(value());
      skip();
      if (peek() !== "]") expect(",");
    }
    expect("]");
    return found;
  };
  const table = (): Draft => {
    const found: Draft = {};
    expect("{");
    for (skip(); peek() !== "}"; skip()) {
      const keys = path();
      expect("=");
      put(found, keys, value());
      skip();
      if (peek() !== "}") expect(",");
    }
    expect("}");
    return found;
  };

  const rule: Draft = {};
  let id: string | null = null;
  let inner = rule;
  for (skip(); at < tokens.length; skip()) {
    if (peek() === "[") {
      expect("[");
      const keys = path();
      expect("]");
      if (keys[0] !== "rules" || keys.length < 2) throw new TextError(lineNow(), "[rules.ID]");
      const [, name = "", ...below] = keys;
      if (id !== null && name !== id && !keys.slice(1).join(".").startsWith(id)) throw new TextError(lineNow(), `[rules.${id}]`);
      const ours = below[0] === "select" || below[0] === "schedule" || below[0] === "fences";
      if (id === null) id = ours ? name : keys.slice(1).join(".");
      inner = rule;
      if (ours) for (const key of below) inner = (inner[key] ??= {}) as Draft;
      continue;
    }
    const keys = path();
    expect("=");
    put(inner, keys, value());
    if (at < tokens.length) expect("\n");
  }
  return { id, rule };
}

/** Reads JSON; the message of the browser names the place as well as it knows it. */
export function readJson(text: string): Draft {
  try {
    const found: unknown = JSON.parse(text);
    if (found === null || typeof found !== "object" || Array.isArray(found)) throw new TextError(1, "{…}");
    return Object.fromEntries(Object.entries(found).filter(([key]) => !ADDED.includes(key)));
  } catch (error) {
    if (error instanceof TextError) throw error;
    const place = /position (\d+)/.exec(String(error))?.[1];
    throw new TextError(place ? text.slice(0, Number(place)).split("\n").length : 1, (error as Error).message);
  }
}

/** The line of a text on which a key stands, for the hub's word on it. */
export function lineOfKey(text: string, key: string): number | null {
  const top = key.split(/[.[]/)[0] ?? key;
  const at = text.split("\n").findIndex((line) => new RegExp(`^\\s*"?${top}"?\\s*[:=]`).test(line));
  return at < 0 ? null : at + 1;
}
