// A hub for one journey: the real program in a folder of its own, on ports that are free.

import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { front } from "./front.mjs";

const PROGRAM = process.env.CITYHUB_BIN ?? new URL("../../../target/debug/cityhub", import.meta.url).pathname;
/** How long something may take that takes a moment; whatever waits for it ends as soon as it is so. */
export const PATIENCE_MS = Number(process.env.PATIENCE_S ?? 30) * 1_000;
const LOOK_MS = 50;

export const PASSWORD = "long-enough-2026";
/** Name and role of everybody in the city. */
export const PEOPLE = {
  chief: "admin", wu: "engineer", zhou: "supervisor", li: "supervisor", wang: "officer", chen: "officer", guest: "viewer", shen: "auditor",
};
const ROLES = ["admin", "engineer", "supervisor", "officer", "viewer", "auditor", "platform"];
const token = (role) => `${role}-0123456789abcdef0123456789abcdef`;

/** Waits until `look` gives something other than null, undefined and false. */
export async function until(what, look, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  let last;
  for (;;) {
    last = await look();
    if (last !== null && last !== undefined && last !== false) return last;
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await pause(LOOK_MS);
  }
}

let made = null;
/** A folder with the city and its people, made once and copied for each hub: passwords are meant to cost time. */
function city() {
  if (made !== null) return made;
  if (!existsSync(PROGRAM)) throw new Error(`no program at ${PROGRAM}: cargo build -p hub, or set CITYHUB_BIN`);
  const folder = mkdtempSync(join(tmpdir(), "cityhub-city-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  cpSync(new URL("./city", import.meta.url).pathname, folder, { recursive: true });
  const tokens = ROLES.map((role) => `\n[auth.tokens.${role}]\ntoken = "${token(role)}"\nrole = "${role}"\n`).join("");
  writeFileSync(join(folder, "hub.toml"), readFileSync(join(folder, "hub.toml"), "utf8") + tokens);
  for (const [name, role] of Object.entries(PEOPLE)) {
    const added = spawnSync(PROGRAM, ["admin", "user", "add", name, "--role", role, "--config", "hub.toml"], { cwd: folder, input: `${PASSWORD}\n`, encoding: "utf8" });
    if (added.status !== 0) throw new Error(`user ${name}: ${added.stderr}`);
  }
  made = folder;
  return made;
}

const running = new Set();
process.once("exit", () => { for (const hub of running) hub.kill(); });
// A run that is ended from outside takes its hubs with it.
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(1));

export class Hub {
  #child = null;
  #front = null;
  folder;
  addresses = {};

  /** `config` is added to the city's. */
  static async start(config = "") {
    const hub = new Hub();
    hub.folder = mkdtempSync(join(tmpdir(), "cityhub-hub-"));
    cpSync(city(), hub.folder, { recursive: true });
    const file = join(hub.folder, "hub.toml");
    writeFileSync(file, `${readFileSync(file, "utf8")}\n${config}`);
    await hub.again();
    return hub;
  }

  /** Starts it, or starts it again where it was. */
  async again() {
    const env = { ...process.env };
    if (this.addresses.http) env.CITYHUB__HTTP__LISTEN = this.addresses.http;
    const child = spawn(PROGRAM, ["run", "--config", "hub.toml"], { cwd: this.folder, env, stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    running.add(this);
    const log = [];
    const ready = await new Promise((done, fail) => {
      child.once("close", () => fail(new Error(`the hub ended:\n${log.join("\n")}`)));
      createInterface({ input: child.stderr }).on("line", (line) => {
        log.push(line);
        if (/\bready\b.*\bhttp=/.test(line)) done(line);
      });
    });
    for (const [, name, address] of ready.replace(/\x1b\[[0-9;]*m/g, "").matchAll(/(\S+)=(\S+:\d+)/g)) this.addresses[name] = address;
    if (process.env.CONSOLE_DIST && this.#front === null) this.#front = await front(process.env.CONSOLE_DIST, this.addresses.http);
  }

  /** Where the browser finds it, by a name that is not this machine's: what needs a secure context must not be needed. */
  get origin() {
    return `http://hub.test:${this.#front?.port ?? this.addresses.http.split(":")[1]}`;
  }

  freeze() { this.#child.kill("SIGSTOP"); }
  thaw() { this.#child.kill("SIGCONT"); }

  /** Ends it as a power cut does. */
  async crash() {
    const gone = new Promise((done) => this.#child.once("exit", done));
    this.#child.kill("SIGKILL");
    await gone;
  }

  kill() {
    this.#child?.kill("SIGKILL");
    this.#front?.close();
    running.delete(this);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async ask(role, method, path, body, headers = {}) {
    const reply = await fetch(`http://${this.addresses.http}/api/v1/${path}`, {
      method, headers: { authorization: `Bearer ${token(role)}`, "content-type": "application/json", ...headers }, body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await reply.text();
    return { status: reply.status, json: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : null };
  }

  async read(path, role = "admin") {
    const { status, json } = await this.ask(role, "GET", path);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }

  /** Lets a sensor report, over the port that sensors use. */
  async report(device, values) {
    const reply = await fetch(`http://${this.addresses["ingest.listen"] ?? this.addresses.ingest}/devices/${device}/telemetry`, {
      method: "POST", headers: { authorization: `Bearer secret-of-${device}`, "content-type": "application/json" }, body: JSON.stringify({ values }),
    });
    if (reply.status !== 204) throw new Error(`${device}: ${reply.status} ${await reply.text()}`);
  }

  /** Lets a sensor report over MQTT. */
  publish(device, values) {
    const [host, port] = (this.addresses["mqtt.listen"] ?? this.addresses.mqtt).split(":");
    const sent = spawnSync("mosquitto_pub", ["-h", host, "-p", port, "-V", "5", "-q", "1", "-u", device, "-P", `secret-of-${device}`, "-t", `devices/${device}/telemetry`, "-m", JSON.stringify({ values })], { encoding: "utf8" });
    if (sent.status !== 0) throw new Error(`${device}: ${sent.stderr || sent.error}`);
  }

  /** The alarm of a rule on a device, once it is so as `fits` wants it. */
  alarm(device, fits = () => true) {
    return until(`an alarm of ${device}`, async () => (await this.read(`alarms?state=all&device=${device}`)).items.find(fits));
  }
}
