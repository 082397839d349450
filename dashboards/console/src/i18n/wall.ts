// Words of the screen `wall`.

import type { Same } from "./language";

export const zh = {
  title: "大屏", on_duty: (name: string) => `值班: ${name}`, unacked: "未确认报警", oldest: "最久未确认", none_waiting: "无等待确认的报警",
  rate: "10 分钟报警", flood: "报警洪流", day: "24 小时", newest: "最新报警", in_hand: "处置中", shelved: "搁置",
  cases: "平台案件", case_waiting: "待受理", case_going: "处理中", overdue: "超时", on_time: "近 30 天按时结案率", online: "设备在线率",
  stopped: (since: string) => `数据已停 ${since}`, opening: "正在连接…", fine: (age: number) => `实时连接正常 · 自检 ${age} 秒`, fine_no_canary: "实时连接正常",
  demo: "演示", quiet: "无未结报警", leave: "退出大屏", chart_sentence: (total: number, most: number) => `最近 24 小时共 ${total} 条报警, 每小时最多 ${most} 条`,
};

export const en: Same<typeof zh> = {
  title: "Wall", on_duty: (name) => `On duty: ${name}`, unacked: "Not acknowledged", oldest: "Waiting longest", none_waiting: "Nothing waits",
  rate: "In 10 minutes", flood: "Alarm flood", day: "24 hours", newest: "Newest alarms", in_hand: "In hand", shelved: "Shelved",
  cases: "Cases", case_waiting: "reported", case_going: "in work", overdue: "overdue", on_time: "Closed in time, 30 days", online: "Devices online",
  stopped: (since) => `No data for ${since}`, opening: "Connecting…", fine: (age) => `Live · self-test ${age} s`, fine_no_canary: "Live",
  demo: "DEMO", quiet: "No open alarms", leave: "Leave the wall", chart_sentence: (total, most) => `${total} alarms in the last 24 hours, at most ${most} in one`,
};
