// How smooth the map is with 50,000 devices, in headless Chromium without a GPU: `npm run build && node checks/map-speed.mjs`.
// A stub answers for the hub; the page measures itself with the same pointer events that a hand would cause, and reports.
// POINTS=20000 changes the fleet, CHROMIUM=/path the browser. Fails below 50 frames a second or with a task above 50 ms from the rebuild.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

const POINTS = Number(process.env.POINTS ?? 50_000);
const FRAMES_MIN = Number(process.env.FRAMES_MIN ?? 50);
const DIST = new URL("../dist/", import.meta.url).pathname;
const KINDS = ["gas_pressure", "smoke", "noise", "dust", "bike", "gateway"];
const SEVERITIES = ["critical", "major", "minor", "warning"];
const [WEST, SOUTH, EAST, NORTH] = [118.0, 24.4, 118.2, 24.56];

// A small generator with a seed, so that every run draws the same.
let seed = 1;
const random = () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
};

const points = { as_of_seq: 1, id: [], x: [], y: [], kind: [], status: [], name: [], site: [], grid: [], severity: [], alarms: [], without_location: 12 };
for (let i = 0; i < POINTS; i += 1) {
  points.id.push(`d-${i}`);
  points.x.push(Math.round((WEST + random() * (EAST - WEST)) * 1e6));
  points.y.push(Math.round((SOUTH + random() * (NORTH - SOUTH)) * 1e6));
  points.kind.push(KINDS[i % KINDS.length]);
  points.status.push(random() < 0.03 ? "offline" : "online");
  points.name.push(`设备 ${i}`);
  points.site.push(null);
  points.grid.push(String(i % 400));
  points.severity.push(null);
  points.alarms.push(0);
}
const alarms = Array.from({ length: 300 }, (_, i) => ({
  id: `a${i}`, rule: "r", rule_revision: 1, title: "示例", device: `d-${i * 150 % POINTS}`, kind: KINDS[i % KINDS.length], site: null, grid: String(i % 400),
  severity: SEVERITIES[i % 4], state: i % 3 === 0 ? "active_acked" : "active_unacked", active: true, acked: i % 3 === 0, raised_at: new Date(Date.now() - i * 10_000).toISOString(),
  cleared_at: null, metric: null, value: 1, limit: 1, unit: null, peak: 1, count: 1, owner: null, shelved_until: null, suppressed_by: null, case: null, note: null, shadow: false, version: 1,
}));
const line = (n) => {
  const at = [WEST + random() * (EAST - WEST), SOUTH + random() * (NORTH - SOUTH)];
  return Array.from({ length: n }, () => { at[0] += (random() - 0.5) * 0.004; at[1] += (random() - 0.5) * 0.004; return [...at]; });
};
const features = (list) => ({ type: "FeatureCollection", features: list });
const roads = features(Array.from({ length: 2_000 }, (_, i) => ({ type: "Feature", properties: { class: i % 10 === 0 ? "main" : "side" }, geometry: { type: "LineString", coordinates: line(12) } })));
const grids = features(Array.from({ length: 400 }, (_, i) => {
  const [w, h] = [(EAST - WEST) / 20, (NORTH - SOUTH) / 20];
  const [x, y] = [WEST + (i % 20) * w, SOUTH + Math.floor(i / 20) * h];
  return { type: "Feature", properties: { code: String(i) }, geometry: { type: "Polygon", coordinates: [[[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]]] } };
}));
const config = {
  city: { name: "示范市", code: "350200", time_zone: "Asia/Shanghai" }, build: { version: "0", hash: "0" },
  map: { layers: [{ name: "roads", style: "road", url: "" }, { name: "grid", style: "grid", url: "" }], tiles: null, center: [118.1, 24.48], zoom: 12 }, demo: false,
};
const tally = { total: alarms.length, severity: {}, state: {} };
const answers = {
  session: { name: "check", role: "viewer", via: "token", rights: ["read"] }, "config/public": config, "map/points": points, "map/layers/roads": roads, "map/layers/grid": grids,
  alarms: { items: alarms, counts: tally, as_of_seq: 1, next: null }, health: { city: config.city, now: new Date().toISOString(), version: "0" },
};

/** Runs in the page. */
async function measure() {
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const tasks = [];
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) tasks.push({ at: entry.startTime, ms: entry.duration }); }).observe({ type: "longtask", buffered: true });
  const worst = (from, to = Infinity) => Math.round(Math.max(0, ...tasks.filter((task) => task.at >= from && task.at < to).map((task) => task.ms)));
  let pane = null;
  for (let i = 0; i < 600 && !(pane = document.querySelector(".city-stage")); i += 1) await pause(50);
  const shown = performance.now();
  // Painted: the picture of the city has been put into its place.
  const painted = () => Boolean(document.querySelector(".city-stage canvas")?.style.width);
  for (let i = 0; i < 600 && !painted(); i += 1) await pause(50);
  await pause(2_000);
  const heldFirst = worst(0);
  const rect = pane.getBoundingClientRect();
  const at = { x: rect.left + rect.width / 2, y: rect.top + rect.height / 2 };
  const fire = (target, type, x, y) => target.dispatchEvent(new PointerEvent(type, { pointerId: 1, bubbles: true, cancelable: true, view: window, clientX: x, clientY: y, button: 0, buttons: 1 }));
  const drag = async (ms) => {
    const begun = performance.now();
    const gaps = [];
    let before = begun;
    fire(pane, "pointerdown", at.x, at.y);
    while (performance.now() - begun < ms) {
      const t = (performance.now() - begun) / 1_000;
      fire(pane, "pointermove", at.x + Math.sin(t * 2) * 320, at.y + Math.sin(t * 3) * 200);
      const now = await frame();
      gaps.push(now - before);
      before = now;
    }
    fire(pane, "pointerup", at.x, at.y);
    const from = begun;
    await pause(400);
    gaps.shift();
    const total = gaps.reduce((sum, gap) => sum + gap, 0);
    return { fps: Math.round((gaps.length / total) * 10_000) / 10, worst_gap_ms: Math.round(Math.max(...gaps)), longest_task_ms: worst(from) };
  };
  // What this machine gives a page that does nothing: the ceiling of all that follows.
  const idle = await (async () => {
    const begun = performance.now();
    let frames = 0;
    while (performance.now() - begun < 2_000) { await frame(); frames += 1; }
    return Math.round((frames / (performance.now() - begun)) * 10_000) / 10;
  })();
  const wide = await drag(5_000);
  const steps = [];
  for (let i = 0; i < 5; i += 1) {
    const from = performance.now();
    document.querySelectorAll(".zooms button")[0].click();
    await frame();
    await frame();
    steps.push(Math.round(performance.now() - from));
    await pause(700);
  }
  const zoomed = performance.now();
  const near = await drag(5_000);
  // Statuses change all over the city: every count is made anew.
  document.querySelectorAll(".zooms button")[2].click();
  await pause(1_000);
  await fetch("/check/statuses", { method: "POST" });
  const from = performance.now();
  await pause(4_000);
  const refresh = { longest_task_ms: worst(from) };
  const storm = await drag(4_000);
  await fetch("/check/figures", { method: "POST", body: JSON.stringify({
    map_shown_ms: Math.round(shown), idle_fps: idle, longest_task_until_drawn_ms: heldFirst, drag_all: wide, zoom_steps_ms: steps, longest_task_zooming_ms: worst(shown + 7_000, zoomed), drag_near: near, rebuild: refresh, drag_after: storm,
  }) });
}

const types = { ".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml", ".png": "image/png" };
const streams = new Set();
let seq = 2;
let finish;
const finished = new Promise((done) => { finish = done; });
const beat = () => `event: hb\ndata: ${JSON.stringify({ seq, server_time: new Date().toISOString() })}\n\n`;

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://check");
  const name = url.pathname.replace("/api/v1/", "");
  if (url.pathname === "/check/figures") {
    let body = "";
    request.on("data", (part) => { body += part; });
    request.on("end", () => { response.end(); finish(JSON.parse(body)); });
    return;
  }
  if (url.pathname === "/check/statuses") {
    for (let i = 0; i < 500; i += 1) {
      seq += 1;
      const data = { id: `d-${i * 97 % POINTS}`, kind: "smoke", enabled: true, status: i % 2 ? "offline" : "online" };
      for (const stream of streams) stream.write(`id: ${seq}\ndata: ${JSON.stringify({ type: `cityhub.device.${data.status}`, subject: data.id, sequence: String(seq), data })}\n\n`);
    }
    response.end();
    return;
  }
  if (name === "stream") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(beat());
    streams.add(response);
    request.on("close", () => streams.delete(response));
    return;
  }
  if (url.pathname.startsWith("/api/")) {
    const answer = answers[name];
    response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? { title: "not in this stub" }));
    return;
  }
  if (url.pathname === "/check/measure.js") {
    response.writeHead(200, { "content-type": "text/javascript" });
    response.end(`${measure}; measure();`);
    return;
  }
  const file = join(DIST, normalize(url.pathname));
  if (file !== DIST && existsSync(file) && statSync(file).isFile()) {
    response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
    return;
  }
  response.writeHead(200, { "content-type": "text/html" });
  response.end(readFileSync(join(DIST, "index.html"), "utf8").replace("</body>", '<script src="/check/measure.js"></script></body>'));
});
const beats = setInterval(() => { for (const stream of streams) stream.write(beat()); }, 2_000);

server.listen(0, "127.0.0.1", async () => {
  const profile = mkdtempSync(join(tmpdir(), "map-speed-"));
  const browser = spawn(process.env.CHROMIUM ?? "chromium", [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
    "--window-size=1440,900", `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}/map#token=check`,
  ], { stdio: "ignore" });
  const timer = setTimeout(() => finish(null), 120_000);
  const figures = await finished;
  clearTimeout(timer);
  clearInterval(beats);
  browser.kill();
  server.close();
  server.closeAllConnections();
  await new Promise((done) => { browser.once("exit", done); setTimeout(done, 3_000); });
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  } catch {
    // A browser that is slow to end still writes there; the folder is the system's to clear.
  }
  if (figures === null) {
    console.error("the page did not report within 120 s");
    process.exit(1);
  }
  console.log(`${POINTS} points, ${alarms.length} alarms, ${grids.features.length} grids, ${roads.features.length} roads, no GPU`);
  console.log(JSON.stringify(figures, null, 1));
  const slow = Math.min(figures.drag_all.fps, figures.drag_near.fps, figures.drag_after.fps) < FRAMES_MIN || figures.rebuild.longest_task_ms > 50;
  console.log(slow ? "TOO SLOW" : "smooth");
  process.exit(slow ? 1 : 0);
});
