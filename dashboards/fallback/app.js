// The desk: keeps the alarms that are not normal, from one snapshot and the live link.

import { keepLink } from "./stream.js";
import { switchLanguage, text } from "./text.js";
import { SEVERITIES, drawLink, drawRows, drawTiles, drawWords, inOrder, unacked } from "./view.js";

const TOKEN = "cityhub.token";
const ROWS_MAX = 1_000;
const SNAPSHOT_MS = 15_000;
const RATE_MS = 10_000;
const NOT_SENT_MS = 3_000;
const BROKEN_MS = 12_000;

const byId = (id) => document.getElementById(id);
let token = sessionStorage.getItem(TOKEN);
let link = null;
let timers = [];
let order = [];
let waiting = [];
let hovered = false;
let drawn = false;
let snapshotUnderWay = false;

const desk = {
  rows: new Map(), pending: new Map(), total: 0, counts: null, devices: undefined, rate: undefined,
  seq: null, loaded: false, link: "off", linkSince: null, skewMs: 0, heardAt: 0, zone: "Asia/Shanghai",
  get live() { return this.link === "live"; },
  now: () => Date.now(),
  serverNow: () => Date.now() + desk.skewMs,
  heartbeatAgeMs: () => performance.now() - desk.heardAt,
  acknowledge,
};

async function api(path, options = {}) {
  return fetch(`/api/v1/${path}`, {
    ...options, cache: "no-store",
    headers: { authorization: `Bearer ${token}`, ...(options.headers ?? {}) },
    signal: AbortSignal.timeout(10_000),
  });
}

function setLink(state) {
  if (desk.link === state) return;
  desk.link = state;
  desk.linkSince = Date.now();
  draw();
}

// ---- what is known ---------------------------------------------------------------------------

function take(row, isNews) {
  const before = desk.rows.get(row.id);
  if (before && before.version > row.version) return;
  if (before && before.version !== row.version) desk.pending.delete(row.id);
  if (row.state === "normal") desk.rows.delete(row.id);
  else desk.rows.set(row.id, row);
  if (isNews && !before && row.state !== "normal") waiting.push(row.id);
}

// The first snapshot is followed by the stream from `as_of_seq`, so that nothing falls between.
async function loadSnapshot() {
  if (snapshotUnderWay) return false;
  snapshotUnderWay = true;
  try {
    const answer = await api(`alarms?limit=${ROWS_MAX}`);
    if (answer.status === 401 || answer.status === 403) {
      signOut(text()[answer.status === 401 ? "bad_token" : "forbidden"]);
      return false;
    }
    if (!answer.ok) return false;
    const page = await answer.json();
    // The link may have told of later changes while the snapshot was on its way.
    if (desk.seq !== null && page.as_of_seq < desk.seq) return true;
    const present = new Set(page.items.map((row) => row.id));
    for (const id of desk.rows.keys()) if (!present.has(id)) desk.rows.delete(id);
    for (const row of page.items) take(row, false);
    desk.counts = page.counts;
    desk.total = page.items.length + (page.next ? 1 : 0);
    desk.complete = !page.next;
    if (desk.seq === null) desk.seq = page.as_of_seq;
    desk.loaded = true;
    draw();
    return true;
  } catch {
    return false;
  } finally {
    snapshotUnderWay = false;
  }
}

function hear(event) {
  desk.heardAt = performance.now();
  setLink("live");
  if (event.event === "hb") {
    const beat = JSON.parse(event.data);
    desk.skewMs = Date.parse(beat.now) - Date.now();
    desk.seq = beat.as_of_seq;
    return;
  }
  if (event.event === "reset") {
    desk.seq = null;
    desk.loaded = false;
    loadSnapshot();
    return;
  }
  if (event.id !== null) desk.seq = Number(event.id);
  if (event.event.startsWith("cityhub.alarm.")) {
    take(JSON.parse(event.data).data, true);
    draw();
  }
}

function openLink() {
  setLink("opening");
  link = keepLink(token, desk.seq, {
    open: () => { desk.heardAt = performance.now(); setLink("live"); loadSnapshot(); },
    event: hear,
    lost: () => setLink("broken"),
    refused: (status) => signOut(text()[status === 401 ? "bad_token" : "forbidden"]),
  });
}

// ---- acknowledging ---------------------------------------------------------------------------

function newKey() {
  // `randomUUID` is missing on plain http; random bytes are not.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

// A retry carries the same key and the same version, so that it acts once.
async function acknowledge(id) {
  const row = desk.rows.get(id);
  if (!row) return;
  const before = desk.pending.get(id);
  const retry = before && before.state === "not_sent" && before.version === row.version;
  const pending = { state: "sending", version: row.version, key: retry ? before.key : newKey() };
  desk.pending.set(id, pending);
  draw();
  const settle = (state) => {
    if (desk.pending.get(id) !== pending) return;
    pending.state = state;
    draw();
  };
  const late = setTimeout(() => settle("not_sent"), NOT_SENT_MS);
  try {
    const answer = await api(`alarms/${encodeURIComponent(id)}/ack`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": pending.key },
      body: JSON.stringify({ version: row.version }),
    });
    if (answer.ok) {
      take(await answer.json(), false);
      desk.pending.delete(id);
      draw();
    } else if (answer.status === 403) settle("not_allowed");
    else if (answer.status === 409) { settle("changed"); loadSnapshot(); }
    else settle("not_sent");
  } catch {
    settle("not_sent");
  } finally {
    clearTimeout(late);
  }
}

// ---- counts beside the list ------------------------------------------------------------------

let rateBefore = null;

// The health report names the city and counts what came in since ever: two of them give a rate.
async function loadHealth() {
  const answer = await api("health").catch(() => null);
  if (!answer?.ok) { desk.rate = undefined; rateBefore = null; return; }
  const { city, intake } = await answer.json();
  const at = performance.now();
  if (rateBefore && intake.received >= rateBefore.received) {
    desk.rate = Math.round((intake.received - rateBefore.received) / ((at - rateBefore.at) / 1000));
  }
  rateBefore = { received: intake.received, at };
  desk.zone = city.time_zone;
  byId("city").textContent = city.name;
  draw();
}

async function loadDevices() {
  const answer = await api("devices?limit=0").catch(() => null);
  desk.devices = answer?.ok ? (await answer.json()).counts : undefined;
  draw();
}

// ---- drawing ---------------------------------------------------------------------------------

function localCounts() {
  // What is held is all there is, unless the list was cut: then the server's counts are the truth.
  if (!desk.loaded) return null;
  if (!desk.complete) return { ...desk.counts.severity, ...desk.counts.state };
  const rows = [...desk.rows.values()];
  const counts = {
    cleared_unacked: rows.filter((row) => row.state === "cleared_unacked").length,
    active_acked: rows.filter((row) => row.state === "active_acked").length,
  };
  for (const severity of SEVERITIES) counts[severity] = rows.filter((row) => row.severity === severity).length;
  return counts;
}

function arrange() {
  waiting = waiting.filter((id) => desk.rows.has(id));
  if (!hovered) waiting = [];
  // Nothing moves under the pointer: rows keep their places, new ones wait behind the button.
  order = hovered
    ? order.filter((id) => desk.rows.has(id))
    : inOrder(desk.rows.values()).slice(0, ROWS_MAX).map((row) => row.id);
  const fresh = byId("fresh");
  fresh.hidden = waiting.length === 0;
  fresh.textContent = text().fresh(waiting.length);
  fresh.toggleAttribute("data-urgent", waiting.some((id) => desk.rows.get(id).severity === "critical"));
}

function draw() {
  if (drawn) return;
  drawn = true;
  setTimeout(() => {
    drawn = false;
    arrange();
    drawRows(order, desk);
    drawTiles(localCounts(), desk.devices, desk.rate);
    byId("shown").textContent = desk.complete === false ? text().shown(order.length, desk.counts.total) : "";
    drawLink(desk);
  }, 100);
}

let announced = -1;

function announce() {
  const count = [...desk.rows.values()].filter(unacked).length;
  if (count !== announced) byId("announce").textContent = text().announce(count);
  announced = count;
}

// ---- coming and going ------------------------------------------------------------------------

async function signIn(candidate) {
  token = candidate;
  byId("sign-in-error").textContent = "";
  let me;
  try {
    me = await api("session");
  } catch {
    byId("sign-in-error").textContent = text().unreachable;
    showForm();
    return;
  }
  if (!me.ok) {
    signOut(text().bad_token);
    return;
  }
  const { name, role } = await me.json();
  sessionStorage.setItem(TOKEN, token);
  byId("who").textContent = `${name} · ${role}`;
  byId("sign-out").hidden = false;
  byId("sign-in").hidden = true;
  byId("desk").hidden = false;
  await begin();
}

async function begin() {
  setLink("opening");
  await loadHealth();
  if (!(await loadSnapshot())) {
    if (token === null) return;
    setLink("broken");
    timers.push(setTimeout(begin, 3_000));
    return;
  }
  openLink();
  loadDevices();
  timers.push(
    setInterval(loadSnapshot, SNAPSHOT_MS), setInterval(loadDevices, SNAPSHOT_MS), setInterval(loadHealth, RATE_MS),
    setInterval(announce, 5_000),
  );
}

function showForm() {
  byId("desk").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-out").hidden = true;
  byId("who").textContent = "";
  byId("token").focus();
}

function signOut(reason) {
  link?.stop();
  link = null;
  for (const timer of timers) clearInterval(timer);
  timers = [];
  token = null;
  sessionStorage.removeItem(TOKEN);
  desk.rows.clear();
  Object.assign(desk, { seq: null, loaded: false, devices: undefined, rate: undefined });
  setLink("off");
  showForm();
  byId("sign-in-error").textContent = reason;
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(byId("token").value.trim());
  byId("token").value = "";
});
byId("sign-out").addEventListener("click", () => signOut(""));
byId("language").addEventListener("click", () => { switchLanguage(); drawWords(); draw(); });
byId("fresh").addEventListener("click", () => { hovered = false; draw(); });
byId("alarms").addEventListener("pointerenter", (event) => { hovered = event.pointerType === "mouse"; });
byId("alarms").addEventListener("pointerleave", () => { hovered = false; draw(); });

// Once a second: ages, the clock, and whether the link has gone silent.
setInterval(() => {
  if (desk.link === "live" && desk.heartbeatAgeMs() > BROKEN_MS) setLink("broken");
  draw();
}, 1_000);

drawWords();
// A token after `#` is taken once and wiped, so that a printed address can sign in a demo.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) history.replaceState(null, "", location.pathname);
if (given || token) signIn(given || token);
else showForm();
draw();
