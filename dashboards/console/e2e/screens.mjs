// Every screen and dialog in four variants: day and night, desk and phone. No fault of accessibility, nothing cut off, no empty picture.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { journey } from "./desk.mjs";
import { until } from "./hub.mjs";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SIZES = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

/** WCAG 1.4.10: what must fit without scrolling in two directions. */
const REFLOW_PX = 320;

/** Looks for faults by the rules of WCAG; scripts of the page may not be added, so it is put there by the browser itself. */
export async function faults(page) {
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

/** Name, address, and words that only stand there when the screen has what it shows. */
const SCREENS = (ids) => [
  ["alarms", "/alarms", "3号工地噪声"], ["alarm", `/alarms/${ids.alarm}`, "处置建议"], ["alarms-shelved", "/alarms?tab=shelved", "2号工地噪声"], ["alarms-history", "/alarms?tab=history", "没有历史报警"],
  ["alarms-none", "/alarms?q=nothing-like-it", "没有符合筛选的报警"],
  ["map", "/map", "3号工地噪声"], ["map-replay", "/map?replay=1", "回放只含报警"], ["cases", "/cases", "燃气超压"], ["case", `/cases/${ids.case}`, "可办理的步骤"],
  ["devices", "/devices", "18 / 18 台"], ["devices-matrix", "/devices?view=matrix", "在线 / 总数"], ["devices-gateways", "/devices?view=gateways", "无网关直连"],
  ["device", "/devices/gas-1", "近 1 小时 1 个读数"], ["device-alarms", "/devices/gas-1?tab=alarms", "燃气超压"], ["device-rules", "/devices/gas-1?tab=rules", "报警中"],
  ["device-frames", "/devices/gas-1?tab=frames", "没有解不开的报文"], ["device-setup", "/devices/gas-1?tab=setup", "WGS84"],
  ["rules", "/rules", "扬尘超标"], ["rule", "/rules/noise_high", "分级限值"], ["rule-toml", "/rules/noise_high?as=toml", "TOML"], ["rule-trial", "/rules/gas_high?tab=trial", "用同一规则引擎重算"],
  ["rule-versions", "/rules/gas_high?tab=versions", "现行"], ["handover", "/handover", "值班日志"], ["handover-history", "/handover/history", "尚无交接记录"],
  ["kpi", "/kpi", "时段内报警"], ["kpi-cases", "/kpi?tab=cases", "确认用时"], ["kpi-devices", "/kpi?tab=devices", "设备在线率"], ["kpi-data", "/kpi?tab=data", "接收与存储"],
  ["system", "/system", "全部正常"], ["admin-users", "/admin", "wang"], ["admin-tokens", "/admin/tokens", "来自配置文件"], ["admin-audit", "/admin/audit", "sign_in"], ["admin-rights", "/admin/rights", "搁置 Ⅰ 级"],
  ["settings", "/settings", "桌面通知"], ["help", "/help", "四个不同的动作"], ["wall", "/wall", "最久未确认"], ["missing", "/nowhere", "没有这个页面"],
];

const button = (page, name, exact = true) => page.getByRole("button", { name, exact }).first().click();
const menu = async (page, name) => {
  await page.locator(".user > button").click();
  await button(page, name, false);
};
const detail = (name) => (page) => page.getByRole("article").getByRole("button", { name, exact: true }).click();

/** Name, address, how it is opened, and words that stand there then. */
const DIALOGS = (ids, size) => [
  ["dialog-ack", `/alarms/${ids.alarm}`, detail("确认"), "处置说明"], ["dialog-shelve", `/alarms/${ids.alarm}`, detail("搁置"), "时长"], ["dialog-assign", `/alarms/${ids.alarm}`, detail("指派"), "指派给"],
  ["dialog-false-alarm", `/alarms/${ids.alarm}`, detail("误报"), "补充说明"], ["why", `/alarms/${ids.alarm}`, (page) => button(page, "查看依据"), "结果一致"],
  // Cards of a phone have no boxes.
  ...(size === "phone" ? [] : [["many", "/alarms", (page) => page.getByRole("checkbox", { name: /^选择 / }).first().check(), "已选 1 条"]]),
  ["dialog-keys", "/alarms", (page) => page.keyboard.press("?"), "快捷键"], ["dialog-palette", "/alarms", (page) => page.keyboard.press("Control+k"), "/devices"],
  ["dialog-note", "/alarms", (page) => page.keyboard.press("Control+l"), "记入值班日志"], ["menu", "/settings", (page) => page.locator(".user > button").click(), "退出登录"],
  ["menu-sound", "/settings", async (page) => {
    await page.keyboard.press("Shift");
    await page.getByRole("button", { name: "声音 开" }).click();
  }, "消音 120 秒"], ["dialog-sound-test", "/settings", (page) => button(page, "声音自检"), "未听到"],
  ["dialog-password", "/settings", (page) => menu(page, "修改口令"), "再输一次"], ["dialog-step", `/cases/${ids.case}`, (page) => button(page, /^立案/, false), "将记入案件台账"],
  ["dialog-import", "/devices", (page) => button(page, "导入 CSV"), "首行为列名"], ["dialog-disable", "/devices/gas-1", (page) => button(page, "停用设备"), "规则不再判断"],
  ["chart-table", "/devices/gas-1", (page) => button(page, "数据表"), "良好"],
  ["dialog-save", "/rules/gas_high", async (page) => {
    await page.getByLabel("名称", { exact: true }).fill("燃气高压");
    await page.keyboard.press("Tab");
    await button(page, "保存");
  }, "保存为 gas_high v2"],
  ["rule-diff", "/rules/gas_high", async (page) => {
    await page.getByLabel("名称", { exact: true }).fill("燃气高压");
    await page.getByRole("tab", { name: /对比/ }).click();
  }, "草案"],
  ["rule-tried", "/rules/gas_high?tab=trial", (page) => button(page, "试算"), "差异清单"], ["dialog-remove-rule", "/rules/gas_high", (page) => button(page, "删除规则"), "删除后规则停止"],
  ["rule-new", "/rules", (page) => button(page, /^新建规则/, false), "空白规则"],
  ["dialog-user", "/admin", (page) => button(page, "新增用户"), "初始口令"], ["dialog-remove-user", "/admin", (page) => button(page, /^删除 chen/, false), "审计记录保留"],
  ["token", "/admin/tokens", async (page) => {
    await page.getByLabel("用户名").fill("grafana");
    await button(page, "新增令牌");
  }, "令牌只显示这一次"],
  // Whoever has locked the desk goes on afterwards.
  ["dialog-lock", "/alarms", (page) => menu(page, "锁定操作"), "操作前请输入口令"],
];

/** Waits until the screen shows what it is for, and nothing on it moves. */
async function drawn(page, words) {
  await page.getByText(words).filter({ visible: true }).first().waitFor();
  await page.waitForFunction(() => document.querySelector(".skeleton, [aria-busy=true]") === null);
  await page.waitForFunction(() => document.getAnimations().every((one) => one.playState !== "running" || one.effect?.getTiming().iterations === Infinity));
}

const widerBy = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

export function screenJourneys() {
  for (const [size, view] of Object.entries(SIZES)) for (const theme of ["light", "dark"]) {
    test(`no screen has a fault of accessibility: ${theme}, ${size}`, journey(async ({ hub, open }) => {
      const ids = await fill(hub);
      const found = [];
      const look = async (desk, name) => {
        for (const fault of await faults(desk.page)) found.push(`${name}: ${fault}`);
        const wide = await widerBy(desk.page);
        if (wide > 1) found.push(`${name}: ${wide} px wider than the screen`);
        await desk.shot(`${name}-${theme}-${size}`);
      };
      // One screen that does not come does not hide the others.
      const shown = (name, words) => drawn(page, words).then(() => true, async () => {
        found.push(`${name}: never showed ${words}`);
        await desk.shot(`failed-${name}-${theme}-${size}`);
        return false;
      });
      const only = process.env.ONLY?.split(",");
      const wanted = (list) => list.filter(([name]) => !only || only.includes(name));
      const desk = await open({ name: null, ...view, before: { theme }, reducedMotion: "reduce" });
      const { page } = desk;
      await page.locator('input[name="username"]').waitFor();
      await look(desk, "sign-in");
      await desk.signIn("chief");
      for (const [name, path, words] of wanted(SCREENS(ids))) {
        await page.goto(hub.origin + path);
        if (!(await shown(name, words))) continue;
        await look(desk, name);
        if (size !== "phone") continue;
        await page.setViewportSize({ width: REFLOW_PX, height: view.height });
        await until(`${name} at ${REFLOW_PX} px`, async () => (await page.evaluate(() => innerWidth)) === REFLOW_PX);
        const wide = await widerBy(page);
        if (wide > 1) found.push(`${name}: ${wide} px wider than ${REFLOW_PX} px`);
        await page.setViewportSize(view);
      }
      for (const [name, path, act, words] of wanted(DIALOGS(ids, size))) {
        await page.goto(hub.origin + path);
        await desk.live();
        await act(page).catch((error) => found.push(`${name}: ${error.message.split("\n")[0]}`));
        if (!(await shown(name, words))) continue;
        await look(desk, name);
      }
      if (!only || only.includes("forbidden")) {
        const guest = await open({ name: "guest", path: "/admin", ...view, before: { theme }, reducedMotion: "reduce" });
        await drawn(guest.page, "没有权限");
        await look(guest, "forbidden");
      }
      if (!only || only.includes("lost")) {
        // Somebody whose desk is not locked, so that nothing lies above the screen.
        const watch = await open({ name: "chen", path: "/alarms?tab=suppressed", ...view, before: { theme }, reducedMotion: "reduce" });
        const wall = await watch.tab("/wall");
        await drawn(watch.page, "没有被抑制的报警");
        await drawn(wall, "实时连接正常");
        await hub.crash();
        await drawn(watch.page, "数据是否为空无法确认");
        await watch.page.getByText(/实时连接自 .* 中断/).waitFor();
        await look(watch, "lost");
        await wall.getByText(/数据已停/).first().waitFor();
        await look({ page: wall, shot: (name) => desk.shot(name, wall) }, "lost-wall");
      }
      assert.deepEqual([...new Set(found)], []);
    }));
  }
}
