// Draws what the desk knows. Nothing here talks to the server.

import { languageTag, text } from "./text.js";

export const SEVERITIES = ["critical", "major", "minor", "warning"];
const NUMERALS = { critical: "Ⅰ", major: "Ⅱ", minor: "Ⅲ", warning: "Ⅳ" };
const STATE_ORDER = ["active_unacked", "latched_unacked", "cleared_unacked", "active_acked", "latched_acked"];
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

export function unacked(row) {
  return row.state.endsWith("_unacked");
}

// Unacknowledged first, then the worst, then the newest.
export function inOrder(rows) {
  const place = (list, name) => (list.indexOf(name) + 1 || list.length + 1);
  return [...rows].sort((a, b) =>
    place(STATE_ORDER, a.state) - place(STATE_ORDER, b.state)
    || place(SEVERITIES, a.severity) - place(SEVERITIES, b.severity)
    || b.raised_at.localeCompare(a.raised_at)
    || a.id.localeCompare(b.id));
}

export function clockText(ms, zone, withDate) {
  const date = withDate ? { month: "2-digit", day: "2-digit" } : {};
  return new Intl.DateTimeFormat(languageTag(), {
    ...date, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone,
  }).format(ms);
}

export function ageText(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const pad = (n) => String(n).padStart(2, "0");
  const days = Math.floor(s / 86_400);
  const clock = `${pad(Math.floor(s / 3600) % 24)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
  return days > 0 ? `${days} d ${clock}` : clock;
}

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(made.dataset, value);
    else if (value !== undefined) made[name] = value;
  }
  made.append(...children);
  return made;
}

function symbol(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}

export function drawWords() {
  document.documentElement.lang = languageTag();
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = text()[place.dataset.text];
  byId("language").textContent = text().other_language;
}

export function drawTiles(counts, devices, rate) {
  const tile = (label, value, mark, severity) => element("div", {
    className: "tile",
    dataset: { ...(severity && { severity }), ...(value > 0 && { some: "" }) },
  }, element("b", { textContent: value ?? "—" }), element("span", { title: label }, ...(mark ? [symbol(mark)] : []), label));
  byId("tiles").replaceChildren(
    ...SEVERITIES.map((s) => tile(`${NUMERALS[s]} ${text()[s]}`, counts?.[s], `shape-${s}`, s)),
    tile(text().cleared_unacked, counts?.cleared_unacked),
    tile(text().active_acked, counts?.active_acked),
    tile(text().online, devices?.online),
    tile(text().offline, devices?.offline),
    tile(text().never_seen, devices?.never_seen),
    tile(text().ingest, rate === undefined ? undefined : rate.toLocaleString("en")),
  );
}

function number(value) {
  return value === null || value === undefined ? "—" : Number(value.toPrecision(6)).toString();
}

// Fills one row in place, so that a button under the pointer stays the same button.
function fillRow(tr, row, desk) {
  const changed = tr.dataset.version !== String(row.version) || tr.dataset.language !== languageTag()
    || tr.dataset.value !== String(row.value);
  const since = Date.parse(row.raised_at);
  const until = row.cleared_at ? Date.parse(row.cleared_at) : desk.serverNow();
  if (!changed) {
    tr.cells[6].textContent = ageText(until - since);
    fillButton(tr.querySelector("button"), row, desk);
    return;
  }
  tr.dataset.version = row.version;
  tr.dataset.language = languageTag();
  tr.dataset.value = row.value;
  tr.className = [unacked(row) && "unacked", row.state === "active_unacked" && "blink"].filter(Boolean).join(" ");
  const where = [text().kinds[row.kind] ?? row.kind, row.site, row.grid].filter(Boolean).join(" · ");
  const unit = row.unit ? ` ${row.unit}` : "";
  const limit = row.limit === null || row.limit === undefined ? "" : ` / ${number(row.limit)}`;
  const peak = row.peak === null || row.peak === undefined ? [] : [element("small", { textContent: `↕ ${number(row.peak)}${unit}` })];
  const button = tr.querySelector("button") ?? element("button", { type: "button", className: "ack" });
  tr.replaceChildren(
    element("td", {}, element("span", { className: "chip", dataset: { severity: row.severity } },
      symbol(`shape-${row.severity}`), `${NUMERALS[row.severity]} ${text()[row.severity]}`)),
    element("td", {}, element("span", { className: "state" }, symbol(`mark-${row.state}`), text()[row.state] ?? row.state)),
    element("td", {}, row.device, element("small", { textContent: where })),
    element("td", {}, row.title || row.rule, element("small", { textContent: [row.metric, row.note].filter(Boolean).join(" · ") })),
    element("td", {}, `${number(row.value)}${limit}${unit}`, ...peak),
    element("td", { title: row.raised_at }, clockText(since, desk.zone, desk.serverNow() - since > 43_200_000)),
    element("td", { textContent: ageText(until - since) }),
    element("td", { className: "number", textContent: `×${row.count}` }),
    element("td", {}, button),
  );
  fillButton(button, row, desk);
}

function fillButton(button, row, desk) {
  const pending = desk.pending.get(row.id);
  button.hidden = !unacked(row);
  button.disabled = pending?.state === "sending" || !desk.live;
  button.className = pending && pending.state !== "sending" ? "ack late" : "ack";
  const label = text()[pending?.state ?? "ack"];
  if (button.textContent !== label) button.textContent = label;
  button.onclick = () => desk.acknowledge(row.id);
}

export function drawRows(order, desk) {
  const body = byId("rows");
  const known = new Map([...body.rows].map((tr) => [tr.dataset.id, tr]));
  order.forEach((id, index) => {
    const row = desk.rows.get(id);
    const tr = known.get(id) ?? element("tr", { dataset: { id } });
    known.delete(id);
    fillRow(tr, row, desk);
    if (body.rows[index] !== tr) body.insertBefore(tr, body.rows[index] ?? null);
  });
  for (const tr of known.values()) tr.remove();
}

export function drawLink(desk) {
  const t = text();
  const link = byId("link");
  const age = Math.floor(desk.heartbeatAgeMs() / 1000);
  const since = desk.linkSince ? clockText(desk.linkSince, desk.zone, false) : "";
  link.dataset.state = desk.link;
  byId("link-text").textContent = {
    off: t.link_off, opening: t.link_opening, live: t.link_live(since, age), broken: t.link_broken(since),
  }[desk.link];
  const banner = byId("banner");
  banner.hidden = desk.link !== "broken";
  if (!banner.hidden) banner.textContent = t.banner(since, ageText(desk.now() - desk.linkSince));
  byId("alarms").classList.toggle("stale", desk.link !== "live");
  const empty = byId("empty");
  empty.hidden = desk.rows.size > 0;
  // An empty list is good news only with proof of a live link.
  empty.textContent = desk.link === "live" && desk.loaded ? t.empty_live(age) : t.empty_unknown;
  byId("proof").textContent = desk.seq === null ? "" : t.proof(desk.seq.toLocaleString("en"));
  const skewS = Math.abs(desk.skewMs) / 1000;
  byId("skew").textContent = desk.link === "live" ? t.skew(skewS.toFixed(1)) : "";
  byId("skew").className = skewS > 2 ? "late" : "";
  byId("clock").textContent = clockText(desk.serverNow(), desk.zone, false);
  byId("zone").textContent = desk.zone;
}
