// Journeys of alarms: they appear, sound, are acknowledged, shelved, changed by others, and saved as a table.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { journey } from "./desk.mjs";
import { until } from "./hub.mjs";

const CRITICAL_HZ = 960;
const MAJOR_HZ = 760;

/** Fills the comment of an open dialog and sends it. */
async function send(page, comment) {
  const dialog = page.getByRole("dialog");
  if (comment) await dialog.locator("textarea").fill(comment);
  await dialog.locator('button[type="submit"]').click();
  await dialog.waitFor({ state: "detached" });
}

export function alarmJourneys() {
  test("a shelved alarm comes back with its tone when its time is over", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    await hub.report("gas-2", { pressure_kpa: 80 });
    const row = await desk.row("gas-2");
    await desk.hears(MAJOR_HZ);
    await row.click();
    await desk.page.getByRole("article").getByRole("button", { name: "搁置" }).click();
    const dialog = desk.page.getByRole("dialog");
    await dialog.getByLabel("时长").selectOption("custom");
    await dialog.getByLabel("自定义 (分钟)").fill("1");
    await dialog.locator("select[data-focus]").selectOption("works");
    await send(desk.page, "开挖");
    await desk.away();
    const shelved = await hub.alarm("gas-2", (one) => one.state === "shelved");
    assert.equal(shelved.shelved_by, "wang");
    assert.equal(shelved.shelve_reason, "施工作业: 开挖");
    await row.waitFor({ state: "detached" });
    await desk.page.getByRole("tab", { name: /搁置/ }).click();
    await desk.page.getByText(/至 \d/).first().waitFor();
    await desk.silent();
    const heard = desk.tones.length;
    const back = await until("the shelf's end", async () => (await hub.read(`alarms/${shelved.id}`)).state === "active_unacked", 75_000);
    assert.ok(back);
    await desk.hears(MAJOR_HZ, heard);
    await desk.page.getByRole("tab", { name: /当前/ }).click();
    await desk.away();
    await row.waitFor();
  }));

  test("a critical alarm appears, sounds, is acknowledged with a comment, and clears", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    await desk.page.getByText("无未处置报警").waitFor();
    hub.publish("gas-1", { pressure_kpa: 431 });
    const row = await desk.row("gas-1");
    await row.getByText("未确认").waitFor();
    await row.getByText("特急").waitFor();
    await desk.hears(CRITICAL_HZ);
    await desk.press(await desk.row("gas-1"), "确认");
    const dialog = desk.page.getByRole("dialog", { name: "确认报警" });
    await dialog.locator('button[type="submit"]').click();
    await dialog.getByText("Ⅰ 级报警确认时须填写处置说明。").waitFor();
    await send(desk.page, "已电话抢修");
    const acked = await hub.alarm("gas-1", (one) => one.acked);
    assert.deepEqual([acked.state, acked.note], ["active_acked", "wang: 已电话抢修"]);
    await row.getByText("处置中").waitFor();
    await desk.silent();
    await hub.report("gas-1", { pressure_kpa: 300 });
    await hub.alarm("gas-1", (one) => one.state === "normal");
    await row.getByText("已恢复").or(desk.page.getByText("无未处置报警")).first().waitFor();
    const trail = await hub.read("audit?limit=100");
    assert.equal(trail.items.filter((one) => /ack/.test(one.action) && one.actor === "wang").length, 1);
  }));

  test("an acknowledgement ends the tone in the other browser, too", journey(async ({ hub, open }) => {
    const [mine, other] = [await open({ name: "wang" }), await open({ name: "chen" })];
    await hub.report("gas-1", { pressure_kpa: 431 });
    await Promise.all([mine.hears(CRITICAL_HZ), other.hears(CRITICAL_HZ)]);
    await mine.press(await mine.row("gas-1"), "确认");
    await send(mine.page, "已电话抢修");
    await hub.alarm("gas-1", (one) => one.acked);
    await (await other.row("gas-1")).getByText("处置中").waitFor();
    await Promise.all([mine.silent(), other.silent()]);
  }));

  test("silence is no acknowledgement: the log tells of it, and a new Ⅰ breaks it", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    await hub.report("gas-1", { pressure_kpa: 431 });
    await desk.hears(CRITICAL_HZ);
    await desk.page.keyboard.press("m");
    await desk.silent();
    const heard = desk.tones.length;
    await until("the log", async () => (await hub.read("shift-log")).items.some((one) => one.actor === "wang" && one.text === "消音 120 秒"));
    // The tone of a Ⅰ would have come again each second.
    await desk.page.getByRole("button", { name: /消音 11[0-5] 秒/ }).waitFor();
    assert.deepEqual(desk.tones.slice(heard).filter((hz) => hz > 0), []);
    assert.equal((await hub.alarm("gas-1")).acked, false);
    await hub.report("gas-2", { pressure_kpa: 431 });
    await desk.hears(CRITICAL_HZ, heard);
  }));

  test("a smoke alarm that is over stays until somebody resets it", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    await hub.report("smoke-1", { smoke_alarm: 1 });
    await desk.hears(CRITICAL_HZ);
    const row = await desk.row("smoke-1");
    await desk.press(row, "确认");
    await send(desk.page, "物业已到场");
    await hub.alarm("smoke-1", (one) => one.acked);
    await hub.report("smoke-1", { smoke_alarm: 0 });
    await hub.alarm("smoke-1", (one) => one.state === "latched_acked");
    await row.getByText("锁存待复位").waitFor();
    await desk.press(row, "复位");
    await hub.alarm("smoke-1", (one) => one.state === "normal");
    await row.getByText("已恢复").or(desk.page.getByText("无未处置报警")).first().waitFor();
  }));

  test("nothing moves under the pointer, and a new Ⅰ is shown at once above the list", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    const { page } = desk;
    for (const device of ["noise-01", "noise-02"]) await hub.report(device, { laeq_dba: 75 });
    for (const device of ["noise-01", "noise-02"]) await (await desk.row(device)).waitFor();
    await desk.settled();
    const order = () => page.locator('[role="row"][data-key]').evaluateAll((rows) => rows.map((row) => row.dataset.key));
    const before = await order();
    await (await desk.row("noise-01")).getByText("噪声超标").hover();
    await hub.report("gas-2", { pressure_kpa: 80 });
    await hub.report("gas-1", { pressure_kpa: 431 });
    await page.getByRole("alert").filter({ hasText: "新到 Ⅰ 级" }).getByText("1号调压箱").waitFor();
    await page.getByRole("button", { name: "2 条新报警" }).waitFor();
    assert.deepEqual(await order(), before);
    // What is there already is told of in its place.
    const second = await hub.alarm("noise-02");
    assert.equal((await hub.ask("officer", "POST", `alarms/${second.id}/ack`, { version: second.version })).status, 200);
    await (await desk.row("noise-02")).getByText("处置中").waitFor();
    assert.deepEqual(await order(), before);
    await page.keyboard.press("n");
    const [first, next] = [await hub.alarm("gas-1"), await hub.alarm("gas-2")];
    await until("the new order", async () => (await order()).slice(0, 2).join() === `${first.id},${next.id}`);
    assert.equal((await order()).length, 4);
  }));

  test("after a reload the page says that the browser holds its sound back, and a click brings it back", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    await hub.report("gas-1", { pressure_kpa: 80 });
    await desk.hears(MAJOR_HZ);
    await desk.page.reload();
    await until("the bar", () => desk.alerts.at(-1)?.includes("声音被浏览器阻止, 报警不会响。"));
    const heard = desk.tones.length;
    await desk.page.getByRole("button", { name: "点击开启声音" }).click();
    await desk.hears(MAJOR_HZ, heard);
    await until("no bar", () => desk.alerts.at(-1)?.includes("声音被浏览器阻止") === false);
    // Whatever is pressed first is done, although the bar above it goes.
    const told = desk.alerts.length;
    await desk.page.reload();
    await until("the bar again", () => desk.alerts.slice(told).at(-1)?.includes("声音被浏览器阻止"));
    await desk.press(await desk.row("gas-1"), "确认");
    await hub.alarm("gas-1", (one) => one.acked);
    await until("no bar", () => desk.alerts.at(-1)?.includes("声音被浏览器阻止") === false);
  }));

  test("what is chosen by a filter is acknowledged at once and counted honestly", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    const { page } = desk;
    for (let at = 1; at <= 12; at += 1) await hub.report(`noise-${String(at).padStart(2, "0")}`, { laeq_dba: 75 });
    await hub.report("gas-1", { pressure_kpa: 80 });
    await desk.row("gas-1").then((row) => row.waitFor());
    await page.getByRole("combobox", { name: "类型" }).selectOption("noise");
    await (await desk.row("gas-1")).waitFor({ state: "detached" });
    await page.getByLabel("选择全部").check();
    await page.getByText("已选 12 条").waitFor();
    await page.getByRole("toolbar", { name: "已选 12 条" }).getByRole("button", { name: /确认/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("将处理 12 条").waitFor();
    // Somebody else is faster with one of them.
    const taken = await hub.alarm("noise-03");
    assert.equal((await hub.ask("officer", "POST", `alarms/${taken.id}/ack`, { version: taken.version })).status, 200);
    await dialog.locator("textarea").fill("已通知工地");
    await dialog.locator('button[type="submit"]').click();
    await dialog.getByText("已处理 11 / 12").waitFor();
    await dialog.getByText("1 条未成功").waitFor();
    await dialog.getByText(taken.id, { exact: true }).waitFor();
    const open12 = (await hub.read("alarms?kind=noise")).items;
    assert.equal(open12.filter((one) => one.state === "active_acked").length, 12);
    assert.equal((await hub.read("alarms?kind=gas_pressure")).items[0].state, "active_unacked");
  }));

  test("an alarm that changed meanwhile is shown as it was and as it is before anything is done", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    await hub.report("noise-01", { laeq_dba: 75 });
    const row = await desk.row("noise-01");
    await row.click();
    await desk.page.getByRole("article").getByRole("button", { name: "搁置" }).click();
    const dialog = desk.page.getByRole("dialog");
    await dialog.locator("select[data-focus]").selectOption("works");
    await hub.report("noise-01", { laeq_dba: 95 });
    await hub.alarm("noise-01", (one) => one.severity === "minor");
    await send(desk.page);
    await desk.press(await desk.row("noise-01"), "已变化");
    const conflict = desk.page.getByRole("dialog", { name: "报警已变化" });
    await conflict.getByRole("row", { name: /级别/ }).getByText("一般").waitFor();
    await conflict.getByRole("row", { name: /级别/ }).getByText("重要").waitFor();
    assert.equal((await hub.alarm("noise-01")).state, "active_unacked");
    await conflict.getByRole("button", { name: "按现状继续" }).click();
    await hub.alarm("noise-01", (one) => one.state === "shelved");
  }));

  test("the table that is saved opens in a spreadsheet: a byte order mark, one line an alarm", journey(async ({ hub, open }) => {
    const desk = await open({ name: "guest" });
    await hub.report("gas-1", { pressure_kpa: 80 });
    await hub.report("noise-01", { laeq_dba: 75 });
    await (await desk.row("noise-01")).waitFor();
    await (await desk.row("gas-1")).waitFor();
    const [saved] = await Promise.all([desk.page.waitForEvent("download"), desk.page.getByRole("button", { name: "导出" }).click()]);
    const bytes = readFileSync(await saved.path());
    assert.deepEqual([...bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
    const lines = bytes.toString("utf8").trimEnd().split("\r\n");
    assert.equal(lines.length, 3);
    assert.match(lines.join("\n"), /燃气低压/);
    assert.match(saved.suggestedFilename(), /^alarms-.*\.csv$/);
  }));
}
