// Journeys of the desk itself: who may do what, locking, language, colours, keys alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./desk.mjs";
import { PASSWORD, until } from "./hub.mjs";

const MAJOR_HZ = 760;
/** Long enough to go on after the password was given. */
const LOCK_S = 15;

/** Presses Tab until the element has the focus; a person would not give up before. */
async function tabTo(page, target, most = 60) {
  for (let at = 0; at < most; at += 1) {
    if (await target.evaluate((element) => element === document.activeElement || element.contains(document.activeElement))) return;
    await page.keyboard.press("Tab");
  }
  throw new Error("Tab never reached it");
}

export function deskJourneys() {
  test("a wrong password is told without saying whether the name exists", journey(async ({ open }) => {
    const desk = await open({ name: null });
    const { page } = desk;
    for (const name of ["wang", "nobody"]) {
      await page.locator('input[name="username"]').fill(name);
      await page.locator('input[name="password"]').fill("wrong-password-1");
      await page.locator('button[type="submit"]').click();
      await page.getByRole("alert").getByText("用户名或口令不对。").waitFor();
    }
    await desk.signIn("wang");
    assert.equal((await desk.ask("GET", "session")).json.name, "wang");
  }));

  test("a desk that nobody touches is locked: it sees and sounds on, and asks for the password before anything is done", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    const { page } = desk;
    await until("the lock", async () => (await desk.ask("GET", "session")).json.locked);
    await hub.report("gas-1", { pressure_kpa: 80 });
    await (await desk.row("gas-1")).waitFor();
    await desk.hears(MAJOR_HZ);
    await desk.press(await desk.row("gas-1"), "确认");
    const lock = page.getByRole("dialog", { name: "操作已锁定" });
    await lock.waitFor();
    assert.equal((await hub.alarm("gas-1")).acked, false);
    await lock.locator('input[type="password"]').fill("wrong-password-1");
    await lock.getByRole("button", { name: "解锁" }).click();
    await lock.getByText("口令不对。").waitFor();
    await lock.locator('input[type="password"]').fill(PASSWORD);
    await lock.getByRole("button", { name: "解锁" }).click();
    await lock.waitFor({ state: "detached" });
    await desk.press(await desk.row("gas-1"), "未送达, 重试");
    await hub.alarm("gas-1", (one) => one.acked);
    await (await desk.row("gas-1")).getByText("处置中").waitFor();
  }, () => `[session]\nlock_after_s = ${LOCK_S}\n`));

  test("who may only look is offered nothing to do, and the hub refuses in any case", journey(async ({ hub, open }) => {
    const desk = await open({ name: "guest" });
    const { page } = desk;
    await hub.report("gas-1", { pressure_kpa: 80 });
    const row = await desk.row("gas-1");
    await row.getByRole("button", { name: "详情" }).waitFor();
    await row.click();
    await page.getByRole("article").waitFor();
    for (const name of ["确认", "搁置", "指派", "误报", "停用"]) assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0, name);
    await page.keyboard.press("a");
    assert.equal(await page.getByRole("dialog").count(), 0);
    const alarm = await hub.alarm("gas-1");
    assert.equal((await desk.ask("POST", `alarms/${alarm.id}/ack`, { version: alarm.version })).status, 403);
    assert.equal((await hub.alarm("gas-1")).acked, false);
    await page.getByRole("link", { name: "规则" }).click();
    await page.getByText("燃气超压").first().waitFor();
    assert.equal(await page.getByRole("button", { name: "新建规则" }).count(), 0);
    await page.goto(`${hub.origin}/admin`);
    await page.getByText(/没有权限/).waitFor();
  }));

  test("everything speaks English once that is chosen, and still does after a reload", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    const { page } = desk;
    await hub.report("gas-1", { pressure_kpa: 80 });
    await page.getByRole("button", { name: "EN", exact: true }).click();
    const row = await desk.row("gas-1");
    await row.getByRole("button", { name: "Ack" }).waitFor();
    await page.reload();
    await page.getByRole("navigation").getByRole("link", { name: "Alarms" }).waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    for (const name of ["Map", "Cases", "Devices", "Rules", "Handover", "System"]) {
      await page.getByRole("navigation").getByRole("link", { name: new RegExp(name, "i") }).first().click();
      await page.locator(".skeleton").first().waitFor({ state: "detached" });
    }
  }));

  test("language and colours may change while somebody types: the words stay", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang", before: { theme: "light" } });
    const { page } = desk;
    await hub.report("gas-1", { pressure_kpa: 431 });
    await desk.press(await desk.row("gas-1"), "确认");
    const field = page.getByRole("dialog").locator("textarea");
    await field.fill("正在核实");
    const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const day = await colour();
    // Another tab of the same desk changes both for all tabs.
    const other = await desk.tab("/settings");
    await other.getByLabel("夜间").check();
    await other.getByLabel("English").check();
    await page.bringToFront();
    await page.getByRole("dialog", { name: "Acknowledge" }).waitFor();
    await until("other colours", async () => (await colour()) !== day);
    assert.equal(await page.getByRole("dialog").locator("textarea").inputValue(), "正在核实");
    await hub.report("noise-01", { laeq_dba: 75 });
    await hub.alarm("noise-01");
    assert.equal(await field.inputValue(), "正在核实");
    await page.keyboard.press("Control+Enter");
    assert.equal((await hub.alarm("gas-1", (one) => one.acked)).note, "wang: 正在核实");
    await page.getByRole("button", { name: "中", exact: true }).click();
    await page.getByRole("navigation").getByRole("link", { name: "报警" }).waitFor();
  }));

  test("an alarm is found, opened, acknowledged and left by keys alone", journey(async ({ hub, open }) => {
    const desk = await open({ name: null });
    const { page } = desk;
    await hub.report("gas-1", { pressure_kpa: 431 });
    await hub.report("noise-01", { laeq_dba: 75 });
    await tabTo(page, page.locator('input[name="username"]'));
    await page.keyboard.type("wang");
    await tabTo(page, page.locator('input[name="password"]'));
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    const row = await desk.row("gas-1");
    await row.waitFor();
    await (await desk.row("noise-01")).waitFor();
    await page.keyboard.press("j");
    await until("the first row has the focus", () => row.evaluate((element) => element === document.activeElement));
    await page.keyboard.press("Enter");
    await page.getByRole("article").getByText("1号调压箱").first().waitFor();
    await page.keyboard.press("a");
    const dialog = page.getByRole("dialog", { name: "确认报警" });
    await dialog.waitFor();
    await page.keyboard.type("yi pai ren");
    await page.keyboard.press("Control+Enter");
    assert.equal((await hub.alarm("gas-1", (one) => one.acked)).note, "wang: yi pai ren");
    await dialog.waitFor({ state: "detached" });
    await page.keyboard.press("Escape");
    await page.getByText("选择一条报警以查看详情").waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "快捷键" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }));

  test("the map is read by keys alone, and its list says the same", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    const { page } = desk;
    await hub.report("gas-1", { pressure_kpa: 431 });
    await hub.report("noise-05", { laeq_dba: 75 });
    await (await desk.row("noise-05")).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("m");
    const map = page.getByRole("application", { name: "地图" });
    await map.waitFor();
    await page.getByText("当前视野 2 条").waitFor();
    await tabTo(page, map);
    await page.keyboard.press("Tab");
    await page.getByRole("heading", { name: "1号调压箱" }).waitFor();
    await page.keyboard.press("Tab");
    await page.getByRole("heading", { name: "5号工地噪声" }).waitFor();
    await desk.shot("map");
    await page.keyboard.press("Enter");
    const alarm = await hub.alarm("noise-05");
    await page.waitForURL(`**/alarms/${alarm.id}`);
    await page.getByRole("article").getByText("5号工地噪声").first().waitFor();
  }));
}
