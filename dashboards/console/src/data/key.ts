// Keys that make a repeated request act once.

/** 128 random bits; `crypto.randomUUID` is missing on plain http, random bytes are not. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
