// A desk: one browser for all journeys, a context for each desk, and what must hold on every page that a journey visits.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { PASSWORD, PATIENCE_MS, until } from "./hub.mjs";

const SHOTS = new URL("./shots/", import.meta.url).pathname;
const ARGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--no-proxy-server", "--host-resolver-rules=MAP hub.test 127.0.0.1",
];

let launched = null;
const browser = () => (launched ??= chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS }));
export const closeBrowser = async () => { if (launched !== null) await (await launched).close(); };

/**
 * Runs in the page. What it tells goes through the console: a question from outside, and the answer of a binding, too, would count as a
 * gesture of a person, and a silent browser would sound.
 */
function listen() {
  const tell = (what, value) => console.debug(`journey ${JSON.stringify([what, value])}`);
  let bars = "";
  const set = AudioParam.prototype.setValueAtTime;
  AudioParam.prototype.setValueAtTime = function (value, at) {
    if (value > 100) tell("tones", value);
    return set.call(this, value, at);
  };
  const off = AudioNode.prototype.disconnect;
  AudioNode.prototype.disconnect = function (...given) {
    tell("tones", 0);
    return off.apply(this, given);
  };
  document.addEventListener("securitypolicyviolation", (event) => tell("faults", `policy: ${event.violatedDirective} ${event.blockedURI}`));
  window.addEventListener("error", (event) => tell("faults", `error: ${event.message} ${event.error?.stack ?? ""}`));
  window.addEventListener("unhandledrejection", (event) => tell("faults", `rejection: ${event.reason}`));
  new MutationObserver(() => {
    const now = [...document.querySelectorAll('[role="alert"]')].map((one) => one.textContent.trim()).join("|");
    if (now === bars) return;
    bars = now;
    tell("alerts", now);
  }).observe(document, { subtree: true, childList: true, characterData: true });
}

export class Desk {
  /** Pitches in the order of their sounding; 0 is where a sound was cut off. */
  tones = [];
  alerts = [];
  faults = [];
  page;
  context;
  hub;

  /** `before` is kept in the browser before the page begins: `{ theme: "dark" }`. */
  static async open(hub, { name = null, path = "/alarms", width = 1440, height = 900, before = {}, reducedMotion = "no-preference" } = {}) {
    const desk = new Desk();
    desk.hub = hub;
    // The reader's zone is not the city's: whatever is shown must be the city's.
    desk.context = await (await browser()).newContext({ viewport: { width, height }, timezoneId: "America/New_York", reducedMotion, acceptDownloads: true });
    desk.context.setDefaultTimeout(PATIENCE_MS);
    await desk.context.addInitScript(listen);
    await desk.context.addInitScript((kept) => {
      try {
        for (const [key, value] of Object.entries(kept)) if (localStorage.getItem(`cityhub.${key}`) === null) localStorage.setItem(`cityhub.${key}`, value);
      } catch { /* an empty page has no storage */ }
    }, before);
    desk.context.on("request", (asked) => { if (!asked.url().startsWith(hub.origin) && !/^(data|blob):/.test(asked.url())) desk.faults.push(`another origin: ${asked.url()}`); });
    desk.page = await desk.tab(path);
    if (name !== null) await desk.signIn(name);
    return desk;
  }

  async tab(path = "/alarms") {
    const page = await this.context.newPage();
    page.on("console", (message) => {
      const [, told] = /^journey (.*)$/s.exec(message.text()) ?? [];
      if (told === undefined) return;
      const [what, value] = JSON.parse(told);
      this[what].push(value);
    });
    await page.goto(this.hub.origin + path);
    return page;
  }

  async signIn(name, password = PASSWORD) {
    await this.page.locator('input[name="username"]').fill(name);
    await this.page.locator('input[name="password"]').fill(password);
    await this.page.locator('button[type="submit"]').click();
    await this.page.locator("#content, .wall").first().waitFor();
    await this.away();
  }

  /** Takes the pointer out of the list, which holds its order while somebody points at it. */
  async away(page = this.page) {
    await page.mouse.move(2, 2);
  }

  /** Waits until no row has moved for a moment: clicks on rows that have just moved are ignored on purpose. */
  async settled(page = this.page) {
    await page.waitForFunction(() => {
      const order = [...document.querySelectorAll('[role="row"][data-key]')].map((row) => row.dataset.key).join();
      if (window.order !== order) Object.assign(window, { order, orderedAt: performance.now() });
      return performance.now() - window.orderedAt > 350;
    });
  }

  /** Presses a button of a row, as somebody does who has looked at it. */
  async press(row, name, page = this.page) {
    await row.waitFor();
    await this.settled(page);
    await row.getByRole("button", { name }).click();
    await this.away(page);
  }

  /** The row of an alarm, by its device. */
  async row(device, page = this.page) {
    const { id } = await this.hub.alarm(device, (one) => one.state !== "normal");
    return page.locator(`[role="row"][data-key="${id}"]`);
  }

  /** Waits until the pitch sounds after what was heard before. */
  hears(hz, after = 0) {
    return until(`a tone of ${hz} Hz, heard ${this.tones.slice(-8)}`, () => this.tones.slice(after).includes(hz));
  }

  /** Waits until the last thing heard is a sound being cut off. */
  silent() {
    return until(`silence, heard ${this.tones.slice(-8)}`, () => this.tones.at(-1) === 0);
  }

  /** Asks the hub as this page would, with the cookie of the person at it; gives the status and what was answered. */
  ask(method, path, body) {
    return this.page.evaluate(async ([how, where, what]) => {
      const reply = await fetch(`/api/v1/${where}`, { method: how, headers: { "x-requested-by": "console", "content-type": "application/json" }, body: what });
      return { status: reply.status, json: await reply.json().catch(() => null) };
    }, [method, path, body === undefined ? undefined : JSON.stringify(body)]);
  }

  async live(page = this.page) {
    await page.locator('.shell[data-link="live"]').waitFor();
  }

  async shot(name, page = this.page) {
    if (!process.env.SHOTS) return;
    mkdirSync(SHOTS, { recursive: true });
    await page.screenshot({ path: `${SHOTS}${name}.png` });
  }

  /** Ends the desk; nothing foreign may have been asked for, nothing forbidden tried, nothing broken. */
  async close() {
    await this.context.close();
    assert.deepEqual(this.faults, []);
  }
}

/** A hub and its desks for the length of one journey. */
export function journey(run, config = () => "") {
  return async () => {
    const { Hub } = await import("./hub.mjs");
    const hub = await Hub.start(config());
    const desks = [];
    try {
      await run({ hub, open: async (given) => { const desk = await Desk.open(hub, given); desks.push(desk); return desk; } });
      for (const desk of desks) await desk.close();
    } catch (error) {
      for (const fault of desks.flatMap((desk) => desk.faults)) error.message += `\n  fault: ${fault}`;
      for (const [at, desk] of desks.entries()) await desk.shot(`failed-${error.message.replace(/[^a-z0-9]+/gi, "-").slice(0, 40)}-${at}`).catch(() => undefined);
      throw error;
    } finally {
      for (const desk of desks) await desk.context.close().catch(() => undefined);
      hub.kill();
    }
  };
}
