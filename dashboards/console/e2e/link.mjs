// Journeys of the link: silent, lost, back, many tabs; what is not known is never shown as nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./desk.mjs";
import { until } from "./hub.mjs";

const LOST_HZ = 660;
/** By then everybody knows that the hub is gone. */
const BANNER_MS = 20_000;
const NOTHING = /无未处置报警/;

/** The alarms that the hub holds open and those on the screen are the same. */
async function same(hub, desk) {
  await until("the same alarms", async () => {
    const known = (await hub.read("alarms")).items.map((one) => one.id).sort();
    const shown = await desk.page.locator('[role="row"][data-key]').evaluateAll((rows) => rows.map((row) => row.dataset.key.split(" ").at(-1)).sort());
    return JSON.stringify(known) === JSON.stringify(shown);
  });
}

export function linkJourneys() {
  test("a hub that is silent is shown as lost, and an empty list is no longer called empty", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    await desk.page.getByText(NOTHING).waitFor();
    await desk.page.locator(".empty").getByText("实时连接正常").waitFor();
    hub.freeze();
    await desk.page.getByText("数据是否为空无法确认").waitFor();
    assert.equal(await desk.page.getByText(NOTHING).count(), 0);
    await desk.page.getByRole("alert").getByText(/实时连接自 .* 中断/).waitFor({ timeout: 30_000 });
    assert.equal(await desk.page.getByText(NOTHING).count(), 0);
    await desk.shot("link-lost");
    await desk.hears(LOST_HZ);
    hub.thaw();
    await desk.live();
    await desk.page.getByText(NOTHING).waitFor();
  }));

  test("a hub that died and is back: an acknowledgement arrives once, and nothing that happened is missing", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    const idle = await open({ name: "chen", path: "/alarms?tab=shelved" });
    const keys = [];
    desk.page.on("request", (asked) => { if (asked.url().endsWith("/ack")) keys.push(asked.headers()["idempotency-key"]); });
    await hub.report("gas-1", { pressure_kpa: 80 });
    const row = await desk.row("gas-1");
    await row.waitFor();
    await idle.page.getByText("没有搁置的报警").waitFor();
    const diedAt = Date.now();
    await hub.crash();
    await Promise.all([desk, idle].map(async ({ page }) => {
      await page.getByRole("alert").getByText(/实时连接自 .* 中断/).waitFor();
      assert.ok(Date.now() - diedAt <= BANNER_MS, `told after ${Date.now() - diedAt} ms`);
    }));
    await idle.page.getByText("数据是否为空无法确认").waitFor();
    assert.equal(await idle.page.getByText("没有搁置的报警").count(), 0);
    await desk.press(row, "确认");
    await row.getByRole("button", { name: "未送达, 重试" }).waitFor();
    await hub.again();
    for (let at = 1; at <= 9; at += 1) await hub.report(`noise-0${at}`, { laeq_dba: 75 });
    await desk.live();
    await same(hub, desk);
    await idle.page.getByText("没有搁置的报警").waitFor();
    // Nothing is sent behind the officer's back.
    assert.equal((await hub.alarm("gas-1")).acked, false);
    await desk.press(row, "未送达, 重试");
    await hub.alarm("gas-1", (one) => one.acked);
    await row.getByText("处置中").waitFor();
    assert.equal(keys.length, 2);
    assert.ok(keys[0] && keys[0] === keys[1], `one intention, one key: ${keys}`);
    const acks = (await hub.read("events?after=0&types=cityhub.alarm.acked")).items;
    assert.equal(acks.length, 1);
  }));

  test("the eighth tab acknowledges, and all tabs together hold one stream", journey(async ({ hub, open }) => {
    const desk = await open({ name: "wang" });
    const tabs = [desk.page];
    while (tabs.length < 8) tabs.push(await desk.tab());
    for (const tab of tabs) await desk.live(tab);
    await hub.report("gas-1", { pressure_kpa: 80 });
    const last = tabs.at(-1);
    await desk.press(await desk.row("gas-1", last), "确认", last);
    await hub.alarm("gas-1", (one) => one.acked);
    for (const tab of tabs) await (await desk.row("gas-1", tab)).getByText("处置中").waitFor();
    const metrics = await (await fetch(`http://${hub.addresses.http}/metrics`, { headers: { authorization: "Bearer admin-0123456789abcdef0123456789abcdef" } })).text();
    const [, streams] = metrics.match(/^cityhub_\S*stream\S*(?:clients|open|listeners)\S* (\d+)$/m) ?? metrics.match(/^(?=.*stream).*\s(\d+)$/m);
    assert.equal(Number(streams), 1);
  }));
}
