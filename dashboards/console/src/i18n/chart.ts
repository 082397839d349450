// Words of charts.

import type { Same } from "./language";

export const zh = {
  table: "数据表", export: "导出 CSV", back: "返回", earlier: "更早", later: "更晚", nearer: "放大", farther: "缩小",
  time: "时间", value: "值", low: "最小", high: "最大", quality: "质量", good: "良好",
  empty: "此时段没有数据",
  sentence: (metric: string, from: string, to: string, least: string, greatest: string, last: string, unit: string) =>
    `${metric}, ${from} 至 ${to}: 最小 ${least}, 最大 ${greatest}, 最近 ${last} ${unit}`,
  parts: (gaps: number, doubtful: number, alarms: number) => `缺测 ${gaps} 段, 可疑点 ${doubtful} 个, 报警 ${alarms} 次`,
  limits: (text: string) => `限值 ${text}`,
  none: "没有数据",
  buckets: (step: string) => `每 ${step} 的最小与最大`,
  every: "每个读数",
  cut: (n: number) => `只画前 ${n} 个点`,
  legend: { raised: "报警", acked: "确认", cleared: "恢复", doubtful: "可疑点", shade: "搁置或停用" },
  hint: "拖动放大, 双击返回, ←/→ 移动",
  units: { s: "秒", min: "分钟", h: "小时", d: "天" },
};

export const en: Same<typeof zh> = {
  table: "Table", export: "Export CSV", back: "Back", earlier: "Earlier", later: "Later", nearer: "Closer", farther: "Wider",
  time: "Time", value: "Value", low: "Least", high: "Greatest", quality: "Quality", good: "good",
  empty: "Nothing was measured in this period",
  sentence: (metric, from, to, least, greatest, last, unit) => `${metric} from ${from} to ${to}: least ${least}, greatest ${greatest}, last ${last} ${unit}`,
  parts: (gaps, doubtful, alarms) => `${gaps} gaps, ${doubtful} doubtful readings, ${alarms} alarms`,
  limits: (text) => `limits ${text}`,
  none: "no data",
  buckets: (step) => `least and greatest of each ${step}`,
  every: "every reading",
  cut: (n) => `only the first ${n} points are drawn`,
  legend: { raised: "raised", acked: "acknowledged", cleared: "cleared", doubtful: "doubtful", shade: "shelved or out of service" },
  hint: "Drag to zoom, double-click to go back, ←/→ to move",
  units: { s: "s", min: "min", h: "h", d: "d" },
};
