// Journeys of the shift and of rules: signed by two, changed after a look at the past.

import assert from "node:assert/strict";
import { test } from "node:test";
import { journey } from "./desk.mjs";
import { PASSWORD, until } from "./hub.mjs";

const STARTING_MS = 15_000;
/** Two shifts; the first ends at the next full minute that leaves the hub time to start, and may be signed for then. */
function shortShift() {
  const end = Math.ceil((Date.now() + STARTING_MS) / 60_000) * 60_000;
  const cityTime = (ms) => new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit" }).format(ms);
  return `[shifts.first]\nstarts = "${cityTime(end - 6 * 3_600_000)}"\n\n[shifts.second]\nstarts = "${cityTime(end)}"\n\n[handover]\nopens_before_min = 0\n`;
}

export function shiftJourneys() {
  test("a shift is handed over by two signatures, frozen with a hash, and a new one begins", journey(async ({ hub, open }) => {
    const desk = await open({ name: "zhou", path: "/handover" });
    const { page } = desk;
    await hub.report("gas-1", { pressure_kpa: 80 });
    const alarm = await hub.alarm("gas-1");
    assert.equal((await hub.ask("supervisor", "POST", `alarms/${alarm.id}/shelve`, { version: alarm.version, minutes: 60, reason: "检修" })).status, 200);
    await page.locator("section.set_aside").getByText("1号调压箱").waitFor();
    const before = await hub.read("handover");
    // What is set aside must have been gone through.
    assert.equal(await page.getByRole("button", { name: "交班人签名" }).isDisabled(), true);
    await page.getByLabel("交班意见").fill("一号站压力偏低, 已搁置");
    await page.locator("section.set_aside").getByRole("checkbox").check();
    await until("told", async () => (await hub.read("handover")).explained.set_aside === true);
    await page.getByRole("button", { name: "交班人签名" }).click();
    const sign = async (user, password) => {
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("用户名").fill(user);
      await dialog.getByLabel("口令").fill(password);
      await dialog.getByRole("button", { name: "签名" }).click();
      return dialog;
    };
    const refused = await sign("zhou", "wrong-password-1");
    await refused.getByText("用户名或口令不对。").waitFor();
    await (await sign("zhou", PASSWORD)).waitFor({ state: "detached" });
    await page.getByText(/责任仍在 zhou/).waitFor();
    assert.equal((await hub.read("handover")).id, before.id);
    await page.getByRole("button", { name: "接班人签名" }).click({ timeout: 90_000 });
    await (await sign("li", PASSWORD)).waitFor({ state: "detached" });
    await page.getByText("已交接并冻结").waitFor();
    await page.getByText("与签名时一致").waitFor();
    await desk.shot("handover-frozen");
    // The paper that is kept: one page A4 for a shift like this.
    const paper = (await page.pdf({ format: "A4", preferCSSPageSize: true })).toString("latin1");
    assert.equal(paper.match(/\/Type\s*\/Page\b/g)?.length, 1);
    const frozen = await hub.read(`handovers/${before.id}`);
    assert.deepEqual(frozen.signatures.map((one) => [one.part, one.name]), [["outgoing", "zhou"], ["incoming", "li"]]);
    assert.match(frozen.hash, /^[0-9a-f]{64}$/);
    assert.equal(frozen.opinions.outgoing, "一号站压力偏低, 已搁置");
    const next = await hub.read("handover");
    assert.deepEqual([next.id, next.responsible], [before.id + 1, "li"]);
  }, shortShift));

  test("a rule is edited, tried on the past, saved with a reason, and then rings", journey(async ({ hub, open }) => {
    await hub.report("dust-1", { pm10_ugm3: 180 });
    const desk = await open({ name: "wu", path: "/rules/dust_high" });
    const { page } = desk;
    await page.getByRole("heading", { name: "扬尘超标" }).waitFor();
    await page.getByLabel("高于", { exact: true }).first().fill("120");
    await page.getByLabel("高于", { exact: true }).first().blur();
    await page.getByLabel("启用").check();
    await page.getByText("已改 2 项").waitFor();
    await page.getByRole("tab", { name: "试算 (回测)" }).click();
    await page.getByRole("button", { name: "24 小时" }).click();
    await page.getByRole("button", { name: "试算", exact: true }).click();
    await page.getByRole("heading", { name: /数据覆盖/ }).waitFor();
    await page.getByRole("row", { name: /dust-1/ }).getByText("新增").waitFor();
    await desk.shot("rule-trial");
    assert.equal((await hub.read("alarms?state=all")).items.length, 0, "a trial rings nowhere");
    await page.getByRole("button", { name: "保存", exact: true }).click();
    const dialog = page.getByRole("dialog");
    await dialog.locator('button[type="submit"]').click();
    await dialog.getByText("请填写理由。").waitFor();
    await dialog.locator("textarea").fill("居民投诉");
    await dialog.locator('button[type="submit"]').click();
    await page.getByText(/dust_high 已保存为 v2/).waitFor();
    const rule = await hub.read("rules/dust_high");
    assert.deepEqual([rule.above, rule.enabled ?? true, rule.revision], [120, true, 2]);
    await hub.report("dust-1", { pm10_ugm3: 130 });
    assert.equal((await hub.alarm("dust-1")).rule_revision, 2);
  }));

  test("a critical rule is changed by one person, approved by another, and put back", journey(async ({ hub, open }) => {
    const wu = await open({ name: "wu", path: "/rules/gas_high" });
    const limit = wu.page.getByLabel("高于", { exact: true }).first();
    await limit.fill("380");
    await limit.blur();
    await wu.page.getByRole("button", { name: "保存", exact: true }).click();
    await wu.page.getByRole("dialog").locator("textarea").fill("管网降压");
    await wu.page.getByRole("dialog").locator('button[type="submit"]').click();
    await wu.page.getByText("v2 已提交, 待另一人批准").waitFor();
    assert.equal((await hub.read("rules/gas_high")).above, 400);
    assert.equal(await wu.page.getByRole("button", { name: "批准" }).count(), 0, "nobody approves what is their own");
    await wu.shot("rule-pending");

    const zhou = await open({ name: "zhou", path: "/rules" });
    const { page } = zhou;
    await page.getByRole("link", { name: /待审核 1/ }).click();
    await zhou.shot("rules-pending");
    await page.getByRole("link", { name: "燃气超压" }).click();
    await page.getByText("wu: 管网降压").waitFor();
    await page.getByRole("tab", { name: /版本/ }).click();
    await page.getByRole("row", { name: /v2/ }).getByRole("button", { name: "对比" }).click();
    await zhou.shot("rule-versions");
    await page.getByRole("row", { name: /v2/ }).getByRole("button", { name: "批准" }).click();
    await zhou.shot("rule-approve");
    await page.getByRole("dialog").getByRole("button", { name: "批准" }).click();
    await page.getByRole("row", { name: /v2/ }).getByText("现行").waitFor();
    assert.deepEqual([(await hub.read("rules/gas_high")).above, (await hub.read("rules/gas_high")).revision], [380, 2]);

    await wu.page.reload();
    await wu.page.getByRole("tab", { name: /版本/ }).click();
    await wu.page.getByRole("row", { name: /v1/ }).getByRole("button", { name: "回到此版本" }).click();
    await wu.page.getByRole("dialog").getByRole("button", { name: "回到此版本" }).click();
    await wu.page.getByText("v3 已提交, 待另一人批准").waitFor();
    await page.reload();
    await page.getByRole("row", { name: /v3/ }).getByRole("button", { name: "驳回" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "驳回" }).click();
    await page.getByRole("dialog").getByText("请填写理由。").waitFor();
    await page.getByRole("dialog").locator("textarea").fill("先观察一天");
    await page.getByRole("dialog").getByRole("button", { name: "驳回" }).click();
    await page.getByRole("row", { name: /v3/ }).getByText("先观察一天").waitFor();
    await zhou.shot("rule-rejected");
    assert.equal((await hub.read("rules/gas_high")).above, 380);
  }, () => "[approval]\ncritical = true\n"));
}
