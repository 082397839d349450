// Every screen in four variants: day and night, desk and phone. No fault of accessibility, no empty picture.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { journey } from "./desk.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

/** Looks for faults by the rules of WCAG; scripts of the page may not be added, so it is put there by the browser itself. */
async function faults(page) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(await axeSource());
  const found = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] }), RULES);
  return found.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target.join(" ")} ${node.failureSummary?.split("\n")[1]?.trim() ?? ""}`));
}

let source = null;
async function axeSource() {
  source ??= (await import("node:fs")).readFileSync(AXE, "utf8");
  return source;
}

/** Something of everything: alarms of each state, a case, a log, devices that report and others that do not. */
async function fill(hub) {
  await hub.report("gas-1", { pressure_kpa: 431 });
  await hub.report("gas-2", { pressure_kpa: 80 });
  await hub.report("gas-3", { pressure_kpa: 250 });
  for (const at of [1, 2, 3, 4]) await hub.report(`noise-0${at}`, { laeq_dba: at === 4 ? 95 : 75 });
  const [acked, shelved] = [await hub.alarm("noise-01"), await hub.alarm("noise-02")];
  await hub.ask("officer", "POST", `alarms/${acked.id}/ack`, { version: acked.version, comment: "已派人" });
  await hub.ask("officer", "POST", `alarms/${shelved.id}/shelve`, { version: shelved.version, minutes: 60, reason: "施工" });
  await hub.ask("officer", "POST", "shift-log", { kind: "note", text: "巡检一次" });
  const raised = await hub.alarm("gas-1", (one) => one.case !== null);
  const list = await hub.read("cases");
  return { alarm: raised.id, case: list.items[0].id };
}

const SCREENS = (ids) => [
  ["alarms", "/alarms"], ["alarm", `/alarms/${ids.alarm}`], ["alarms-history", "/alarms?tab=history"], ["map", "/map"], ["cases", "/cases"], ["case", `/cases/${ids.case}`],
  ["devices", "/devices"], ["device", "/devices/gas-1"], ["rules", "/rules"], ["rule", "/rules/gas_high"], ["rule-trial", "/rules/gas_high?tab=trial"],
  ["handover", "/handover"], ["handover-history", "/handover/history"], ["kpi", "/kpi"], ["system", "/system"], ["admin-users", "/admin"], ["admin-tokens", "/admin/tokens"],
  ["admin-audit", "/admin/audit"], ["admin-rights", "/admin/rights"], ["settings", "/settings"], ["help", "/help"], ["wall", "/wall"], ["missing", "/nowhere"],
];

/** Waits until the screen has what it waits for. */
async function drawn(page) {
  await page.locator("h1, h2, [role=grid], .wall, .screen").first().waitFor();
  await page.waitForFunction(() => document.querySelector(".skeleton, [aria-busy=true]") === null);
  await page.waitForFunction(() => document.getAnimations().every((one) => one.playState !== "running" || one.effect?.getTiming().iterations === Infinity));
}

export function screenJourneys() {
  for (const [size, view] of Object.entries(SIZES)) for (const theme of ["light", "dark"]) {
    test(`no screen has a fault of accessibility: ${theme}, ${size}`, journey(async ({ hub, open }) => {
      const ids = await fill(hub);
      const found = [];
      const look = async (desk, name) => {
        for (const fault of await faults(desk.page)) found.push(`${name}: ${fault}`);
        await desk.shot(`${name}-${theme}-${size}`);
      };
      const desk = await open({ name: null, ...view, before: { theme }, reducedMotion: "reduce" });
      await desk.page.locator('input[name="username"]').waitFor();
      await look(desk, "sign-in");
      await desk.signIn("chief");
      const only = process.env.ONLY?.split(",");
      for (const [name, path] of SCREENS(ids)) {
        if (only && !only.includes(name)) continue;
        await desk.page.goto(hub.origin + path);
        await drawn(desk.page);
        await look(desk, name);
        const wide = await desk.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wide > 1) found.push(`${name}: ${wide} px wider than the screen`);
      }
      assert.deepEqual([...new Set(found)], []);
    }));
  }
}
