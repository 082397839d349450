// Words of the screen `rules`.

import type { Same } from "./language";

export const zh = {
  list: "规则列表", columns: { title: "规则", kind: "类型", target: "对象", severity: "级别", revision: "版本", state: "状态", alarms: "近 7 天报警", wrong: "误报率", chattering: "抖动" },
  kinds: {
    threshold: "限值", window: "时间窗", rate: "变化速率", silence: "静默 (离线)", frozen: "数值不变", clock: "时钟", occupancy: "占用", geofence: "电子围栏", any: "任一", all: "同时",
  },
  state: { on: "启用", off: "停用", shadow: "影子", pending: "待审核", in_force: "现行", former: "以前", rejected: "已驳回", withdrawn: "已撤回" }, week_shadow: (n: number) => `影子 ${n}`,
  any: "全部", device_kind: "设备类型", rule_kind: "规则类型", search: "名称 / 编号 / 指标 (按 /)", empty: "没有规则", empty_filter: "没有符合筛选条件的规则", every: "全部设备", devices_n: (n: number) => `${n} 台设备`,
  new_rule: "新建规则", from_template: "从模板新建", template_text: "限值与出处来自内置规则包, 请按本地要求核对。", blank: "空白规则", source: "出处",
  back: "← 规则列表", missing: "没有这条规则", missing_text: (id: string) => `编号 ${id} 不存在。`,
  tab: { edit: "编辑", trial: "试算 (回测)", versions: "版本", diff: "对比" }, tabs: "规则", form: "表单", toml: "TOML", json: "JSON", as: "编辑方式",
  id: "编号", id_hint: "字母、数字、_ - . , 最长 128", read_only: "只读: 修改规则需要工程师权限。",
  groups: { main: "基本", target: "对象", condition: "条件", schedule: "生效时段", other: "其他" },
  field: {
    title: "名称", kind: "类型", select: "对象选择", select_kind: "设备类型", site: "地点", tags: "标签", devices: "指定设备", metric: "指标", severity: "级别", above: "高于", below: "低于", levels: "分级限值", deadband: "回差",
    on_delay_s: "触发延时 (秒)", off_delay_s: "清除延时 (秒)", aggregate: "聚合", window_s: "窗口 (秒)", count: "次数", align: "对齐", min_coverage_pct: "最低覆盖率 (%)", fall: "下降", rise: "上升", fall_pct: "下降 (%)", rise_pct: "上升 (%)",
    normal_max: "正常上限", factor: "倍数 (× 上报间隔)", after_s: "时长 (秒)", cadence_s: "上报间隔 (秒)", epsilon: "最小变动", skew_s: "时钟偏差 (秒)", confirm: "连续次数", capacity: "容量", capacity_ratio: "容量倍数", mode: "方式", fences: "围栏 (JSON)",
    buffer_m: "外缓冲 (米)", enter_buffer_m: "内缓冲 (米)", dwell_s: "停留 (秒)", max_speed_ms: "最大速度 (米/秒)", accuracy_max_m: "最差精度 (米)", locked: "仅锁车", of: "组成规则", scope: "范围", within_s: "时间内 (秒)", devices_min: "最少设备", hold_s: "等待 (秒)",
    suppress: "抑制成员", category: "事件类别代码", uncertain: "可疑数据", latch: "锁存 (须人工复位)", shadow: "影子运行 (不告知)", enabled: "启用", source: "依据", certainty: "把握", times: "时刻", weekdays: "星期", dates: "日期", except_dates: "除外日期",
  },
  hint: { tags: "如 class=medium, zone=1", list: "逗号或空格分隔", times: "如 22:00-06:00", weekdays: "如 mon-fri", dates: "如 11-15/03-15" },
  choice: {
    mean: "平均", leq: "等效声级", max: "最大", min: "最小", sum: "合计", count_above: "超限次数", trailing: "滑动", clock: "整点", outside: "在外", inside: "在内", device: "同设备", site: "同地点", grid: "同网格", use: "使用", ignore: "忽略",
  },
  usual: "(默认)", add_level: "加一级", remove_level: "删除此级", changed: (n: number) => `已改 ${n} 项`, unchanged: "与现行相同",
  wrong_key: (key: string) => `错误: ${key}`, at_line: (n: number) => `第 ${n} 行`,
  save: "保存", save_title: (revision: string) => `保存为 ${revision}`, save_shadow: "影子运行保存", reason: "理由", reason_needed: "请填写理由。", saved: (id: string, n: number) => `${id} 已保存为 v${n}`,
  moved_on: "规则刚被他人修改, 请重新读取后再改。", reread: "重新读取", discard: "放弃修改", remove: "删除规则", remove_text: "删除后规则停止, 其未结报警随之清除。", did: "已完成", waits: (n: number) => `v${n} 已提交, 待另一人批准; 现行规则继续生效`,
  approve: "批准", reject: "驳回", rollback: "回到此版本", rollback_text: (n: number) => `将以 v${n} 的内容保存为新版本。`,
  version: "版本", at: "时间", actor: "修改人", compare: "对比", compare_hint: "选一个版本与现行对比, 或选两个互相对比。",
  before: "现行", after: "草案", no_changes: "没有差异",
  trial: {
    period: "时段", periods: { d1: "24 小时", d7: "7 天", d30: "30 天" }, run: "试算", stop: "取消", running: (pct: number, at: string) => `已算 ${pct} %, 到 ${at}`,
    note: "用同一规则引擎重算已存的读数, 不对外发送任何内容。", coverage: "数据覆盖", coverage_text: (pct: string, devices: number, readings: string) => `${pct} · ${devices} 台设备 · ${readings} 个读数`,
    first_last: (a: string, b: string) => `数据从 ${a} 到 ${b}`, none_heard: "所选设备在此时段没有任何数据: 0 条报警不能说明规则合适。", short: (t: string) => `所选时段中只有 ${t} 有数据, 计数只代表这段时间。`, low: "覆盖不足, 结果仅供参考。", kind: "类型", heard: "有数据 / 设备", share: "覆盖", gaps: "缺口", gaps_list: "最长的缺口",
    counts: "报警数", now: "现行", draft: "草案", same: "相同", gained: "新增", lost: "减少", moved: "变动", none: "无", cut: (n: number, total: number) => `列出 ${n} / ${total}`,
    peak: "10 分钟峰值", floods: "洪流", flood_share: "洪流时间占比", verdicts: "与人工判定对照", real: (n: number, lost: number) => `已成案且未判误报的 ${n} 条: 草案漏掉 ${lost}`, wrong: (n: number, lost: number) => `已判误报的 ${n} 条: 草案消除 ${lost}`,
    bars: "按日报警数", bars_hour: "按小时报警数", bar: (label: string, now: number, draft: number) => `${label}: 现行 ${now}, 草案 ${draft}`, list: "差异清单", device: "设备", raised: "产生", cleared: "恢复", peak_value: "峰值", change: "变化", curve: "曲线", no_right: "试算需要值班长、工程师或管理员权限。",
    old: "草案在试算后又有修改, 以下是修改前的结果。", table: "数据表",
  },
};

export const en: Same<typeof zh> = {
  list: "Rules", columns: { title: "Rule", kind: "Kind", target: "Watches", severity: "Severity", revision: "Version", state: "State", alarms: "Alarms, 7 days", wrong: "False", chattering: "Chattering" },
  kinds: {
    threshold: "Threshold", window: "Window", rate: "Rate", silence: "Silence", frozen: "Frozen", clock: "Clock", occupancy: "Occupancy", geofence: "Geofence", any: "Any of", all: "All of",
  },
  state: { on: "On", off: "Off", shadow: "Shadow", pending: "Pending", in_force: "In force", former: "Former", rejected: "Rejected", withdrawn: "Withdrawn" }, week_shadow: (n) => `shadow ${n}`,
  any: "All", device_kind: "Device kind", rule_kind: "Kind of rule", search: "Title, id, metric (key /)", empty: "No rules", empty_filter: "No rule fits the filters", every: "every device", devices_n: (n) => `${n} devices`,
  new_rule: "New rule", from_template: "From a template", template_text: "Limits and sources are those of the built-in packs; check them against local rules.", blank: "Blank rule", source: "Source",
  back: "← Rules", missing: "No such rule", missing_text: (id) => `There is no rule ${id}.`,
  tab: { edit: "Edit", trial: "Backtest", versions: "Versions", diff: "Changes" }, tabs: "Rule", form: "Form", toml: "TOML", json: "JSON", as: "Edit as",
  id: "Id", id_hint: "Letters, digits, _ - . , 128 at most", read_only: "Read only: rules are edited by engineers.",
  groups: { main: "Basics", target: "Watches", condition: "Condition", schedule: "Schedule", other: "Other" },
  field: {
    title: "Title", kind: "Kind", select: "Selection", select_kind: "Device kind", site: "Site", tags: "Tags", devices: "Devices", metric: "Metric", severity: "Severity", above: "Above", below: "Below", levels: "Levels", deadband: "Deadband",
    on_delay_s: "On delay (s)", off_delay_s: "Off delay (s)", aggregate: "Aggregate", window_s: "Window (s)", count: "Count", align: "Align", min_coverage_pct: "Least coverage (%)", fall: "Fall", rise: "Rise", fall_pct: "Fall (%)", rise_pct: "Rise (%)",
    normal_max: "Normal maximum", factor: "Factor (× cadence)", after_s: "After (s)", cadence_s: "Cadence (s)", epsilon: "Least movement", skew_s: "Skew (s)", confirm: "Confirm", capacity: "Capacity", capacity_ratio: "Ratio of capacity", mode: "Mode", fences: "Fences (JSON)",
    buffer_m: "Outer buffer (m)", enter_buffer_m: "Inner buffer (m)", dwell_s: "Dwell (s)", max_speed_ms: "Greatest speed (m/s)", accuracy_max_m: "Worst accuracy (m)", locked: "Locked only", of: "Members", scope: "Scope", within_s: "Within (s)", devices_min: "Least devices", hold_s: "Hold (s)",
    suppress: "Suppress members", category: "Category code", uncertain: "Uncertain readings", latch: "Latch (until reset)", shadow: "Shadow (tells nobody)", enabled: "Enabled", source: "Source", certainty: "Certainty", times: "Times", weekdays: "Weekdays", dates: "Dates", except_dates: "Except dates",
  },
  hint: { tags: "such as class=medium, zone=1", list: "separated by commas or spaces", times: "such as 22:00-06:00", weekdays: "such as mon-fri", dates: "such as 11-15/03-15" },
  choice: {
    mean: "mean", leq: "leq", max: "max", min: "min", sum: "sum", count_above: "count above", trailing: "trailing", clock: "clock", outside: "outside", inside: "inside", device: "device", site: "site", grid: "grid", use: "use", ignore: "ignore",
  },
  usual: "(default)", add_level: "Add a level", remove_level: "Remove this level", changed: (n) => `${n} changed`, unchanged: "As in force",
  wrong_key: (key) => `Wrong: ${key}`, at_line: (n) => `line ${n}`,
  save: "Save", save_title: (revision) => `Save as ${revision}`, save_shadow: "Save in shadow", reason: "Reason", reason_needed: "A reason is needed.", saved: (id, n) => `${id} saved as v${n}`,
  moved_on: "Somebody has just changed the rule. Read it again first.", reread: "Read again", discard: "Discard changes", remove: "Delete rule", remove_text: "The rule stops, and its open alarms clear.", did: "Done", waits: (n) => `v${n} waits for another person; the rule in force goes on`,
  approve: "Approve", reject: "Reject", rollback: "Back to this version", rollback_text: (n) => `What v${n} says is saved as a new version.`,
  version: "Version", at: "At", actor: "By", compare: "Compare", compare_hint: "Choose one version to compare with that in force, or two.",
  before: "In force", after: "Draft", no_changes: "No changes",
  trial: {
    period: "Period", periods: { d1: "24 hours", d7: "7 days", d30: "30 days" }, run: "Run", stop: "Cancel", running: (pct, at) => `${pct} % done, at ${at}`,
    note: "The live engine runs over the stored readings; nothing is sent anywhere.", coverage: "Coverage", coverage_text: (pct, devices, readings) => `${pct} · ${devices} devices · ${readings} readings`,
    first_last: (a, b) => `data from ${a} to ${b}`, none_heard: "Nothing was heard of these devices: no alarms says nothing of the rule.", short: (t) => `Only ${t} of this period holds data; the counts are of that time.`, low: "Coverage is low; take the result with care.", kind: "Kind", heard: "Heard / devices", share: "Coverage", gaps: "Gaps", gaps_list: "Longest gaps",
    counts: "Alarms", now: "In force", draft: "Draft", same: "Same", gained: "Gained", lost: "Lost", moved: "Moved", none: "None", cut: (n, total) => `${n} of ${total} listed`,
    peak: "Peak in 10 min", floods: "Floods", flood_share: "Time in flood", verdicts: "Against what people found", real: (n, lost) => `${n} became cases and were not found false: the draft misses ${lost}`, wrong: (n, lost) => `${n} were found false: the draft avoids ${lost}`,
    bars: "Alarms by day", bars_hour: "Alarms by hour", bar: (label, now, draft) => `${label}: in force ${now}, draft ${draft}`, list: "What differs", device: "Device", raised: "Raised", cleared: "Cleared", peak_value: "Peak", change: "Change", curve: "Curve", no_right: "Backtests are for supervisors, engineers and administrators.",
    old: "The draft has changed since; this is of the draft before.", table: "Table",
  },
};
