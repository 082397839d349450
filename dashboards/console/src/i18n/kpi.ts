// Words of the screen `kpi`.

import type { Same } from "./language";

export const zh = {
  named: (key: string, chinese?: string) => chinese ?? key,
  tabs: "统计分类", tab: { load: "报警系统", cases: "处置质量", devices: "设备", data: "数据质量" },
  period: "时段", periods: { day: "今日", week: "本周", month: "本月", last30: "近 30 天", own: "自定义" },
  from: "自", to: "至", compare: "对比上期", by: "分组",
  groups: { district: "区县", street: "街道", grid: "网格", unit: "责任单位", category: "类别", kind: "设备类型" },
  unknown_group: "(未知)",
  csv: "导出 CSV", report: "月报", report_csv: "月报 CSV", month: "月份", reading: "正在计算…",
  span: (from: string, to: string) => `${from} – ${to}`,
  few: (days: string) => `样本 ${days} 天 < 30 天`,
  sample: (n: number | string) => `样本 ${n}`, target: (x: string) => `目标 ${x}`, most: (x: string) => `≤ ${x}`, before: (x: string) => `上期 ${x}`, beyond: "超出目标",
  define: "移到或聚焦任一数字可看定义。", formula: "公式", source: "来源", certainty: "依据",
  certain: { "[V]": "已核对原文", "[M]": "凭记忆, 待核", "[D]": "本系统定义" },
  load: "报警负荷", announced: "时段内报警", mix: "优先级构成", mix_of: { low_share: "低 (Ⅲ Ⅳ)", medium_share: "中 (Ⅱ)", high_share: "高 (Ⅰ)" },
  heat: "每小时报警负荷 (格内为该小时最大 10 分钟报警数)", heat_levels: ["0", "1", "2–5", "6–10", "> 10 洪流"], heat_cell: (day: string, hour: string, n: number, peak: number) => `${day} ${hour} 报警 ${n}, 最大 10 分钟 ${peak}`,
  heat_from: (at: string) => `报警过多, 只统计 ${at} 之后`, day: "日期", curve: (peak: number) => `10 分钟报警数的每小时最大值, 最高 ${peak}, 参考线 1 和 10`,
  top: "前十报警源", rule: "规则", device: "设备", alarms: "报警数", share: "占比", nothing: "此时段没有报警",
  ack: "确认用时", severity: "级别", p50: "中位", p90: "P90", acks: "确认数", ack_define: "从告知到首次确认, 按最近秩取分位; 样本为时段内的首次确认。", began: "有数据以来:",
  cases: "案件", rates: "比率", times: "用时", by_group: (name: string) => `按${name}`, no_groups: "此时段没有案件和报警",
  online: "设备在线率", kind: "类型",
  data: "接收与存储", data_since: (at: string) => `自 ${at} 启动以来`, values: { received: "收到", stored: "入库", duplicate: "重复", late: "迟到", rejected: "拒收" }, of_received: (x: string) => `占收到 ${x}`,
  queue: (n: number, of: number) => `待写 ${n} / ${of}`, values_define: {
    received: "各接入收到的读数", stored: "已写入存储的读数", duplicate: "同一设备、指标、时间的重复读数, 不再入库", late: "晚于允许迟到时间的读数: 入库并更正历史, 不触发实时报警", rejected: "格式、设备或时间不符而拒收的读数",
  },
};

export const en: Same<typeof zh> = {
  named: (key) => ENGLISH[key] ?? key,
  tabs: "Kinds of figures", tab: { load: "Alarm system", cases: "Handling", devices: "Devices", data: "Data" },
  period: "Period", periods: { day: "Today", week: "Week", month: "Month", last30: "30 days", own: "Own" },
  from: "From", to: "to", compare: "Compare with before", by: "By",
  groups: { district: "district", street: "street", grid: "grid", unit: "unit", category: "category", kind: "kind of device" },
  unknown_group: "(unknown)",
  csv: "Export CSV", report: "Monthly report", report_csv: "Report CSV", month: "Month", reading: "Evaluating…",
  span: (from, to) => `${from} – ${to}`,
  few: (days) => `${days} days < 30 days`,
  sample: (n) => `n = ${n}`, target: (x) => `target ${x}`, most: (x) => `≤ ${x}`, before: (x) => `before ${x}`, beyond: "beyond the target",
  define: "Point at a figure, or focus it, to see its definition.", formula: "Formula", source: "Source", certainty: "Certainty",
  certain: { "[V]": "verified at the source", "[M]": "from memory", "[D]": "defined here" },
  load: "Alarm load", announced: "Alarms in the period", mix: "Mix of priorities", mix_of: { low_share: "Low (Ⅲ Ⅳ)", medium_share: "Medium (Ⅱ)", high_share: "High (Ⅰ)" },
  heat: "Alarm load by hour (in each cell the most in 10 minutes)", heat_levels: ["0", "1", "2–5", "6–10", "> 10 flood"], heat_cell: (day, hour, n, peak) => `${day} ${hour}: ${n} alarms, at most ${peak} in 10 minutes`,
  heat_from: (at) => `Too many alarms: counted since ${at} only`, day: "Day", curve: (peak) => `The most alarms in 10 minutes of each hour, ${peak} at most, with lines at 1 and 10`,
  top: "Ten most frequent sources", rule: "Rule", device: "Device", alarms: "Alarms", share: "Share", nothing: "No alarms in this period",
  ack: "Time to acknowledge", severity: "Severity", p50: "Median", p90: "P90", acks: "Acknowledged", ack_define: "From being told to the first acknowledgement, quantiles by nearest rank; the sample is the first acknowledgements of the period.", began: "Since the first data:",
  cases: "Cases", rates: "Rates", times: "Times", by_group: (name) => `By ${name}`, no_groups: "No cases or alarms in this period",
  online: "Devices online", kind: "Kind",
  data: "Received and stored", data_since: (at) => `since the start at ${at}`, values: { received: "Received", stored: "Stored", duplicate: "Duplicate", late: "Late", rejected: "Rejected" }, of_received: (x) => `${x} of received`,
  queue: (n, of) => `${n} of ${of} waiting`, values_define: {
    received: "Readings that the drivers received", stored: "Readings written to the store", duplicate: "The same device, metric and time once more; not stored again", late: "Later than the lateness allows: stored, amends history, sounds nothing", rejected: "Refused for their form, device or time",
  },
};

/** English names of the hub's indicators; the Chinese ones come from the hub. */
const ENGLISH: Record<string, string> = {
  reported: "Reported", registered: "Registered", should_close: "Due to close", closed: "Closed", close_rate: "Closing rate", on_time_close_rate: "Closed in time", late_close_rate: "Closed late",
  repeat_rate: "Repeated", rework_rate: "Rework", extension_rate: "Extended", should_dispose: "Due to handle", voided: "Voided", alarms: "Alarms", valid_alarm_rate: "Valid alarms", false_alarm_rate: "False alarms",
  detect_to_open_s: "Raising to opening", open_to_accept_s: "Opening to acceptance", online_rate: "Online", per_10min: "Per 10 min, mean", per_hour: "Per hour, mean", peak_10min: "Most in 10 min",
  peak_hour: "Most in an hour", over_10_share: "10 min above 10", over_30_share: "Hours above 30", flood_share: "Time in flood", top10_share: "Top ten sources", chattering: "Chattering", stale: "Stale", low_share: "Low priority",
  medium_share: "Medium priority", high_share: "High priority",
};
