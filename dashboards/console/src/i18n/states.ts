// Names of the states of alarms, devices and cases, as every screen shows them.

import type { Same } from "./language";

export const zh = {
  alarm: {
    active_unacked: "未确认", latched_unacked: "锁存未确认", cleared_unacked: "恢复未确认", active_acked: "处置中",
    latched_acked: "锁存待复位", shelved: "搁置", suppressed: "抑制", out_of_service: "检修停用", normal: "已恢复",
  },
  device: { online: "在线", offline: "离线", frozen: "数据僵死", clock_wrong: "时钟错误", never_seen: "从未上报" },
  cause: { sensor: "传感器", gateway: "网关", link: "链路" },
  case: {
    reported: "待受理", accepted: "已立案", dispatched: "已派遣", handling: "处理中", fed_back: "已反馈", verified: "已核查",
    deferred: "挂账", closed: "结案", voided: "作废",
  },
  step: {
    accept: "立案", dispatch: "派遣", handle: "处理", feedback: "反馈", verify: "核实", close: "结案", return: "回退", void: "作废",
    extend: "延期", defer: "缓办", supervise: "督办",
  },
};

export const en: Same<typeof zh> = {
  alarm: {
    active_unacked: "Unacked", latched_unacked: "Latched unacked", cleared_unacked: "Cleared unacked", active_acked: "In hand",
    latched_acked: "Latched, to reset", shelved: "Shelved", suppressed: "Suppressed", out_of_service: "Out of service", normal: "Normal",
  },
  device: { online: "Online", offline: "Offline", frozen: "Frozen", clock_wrong: "Clock wrong", never_seen: "Never seen" },
  cause: { sensor: "Sensor", gateway: "Gateway", link: "Link" },
  case: {
    reported: "Reported", accepted: "Accepted", dispatched: "Dispatched", handling: "Handling", fed_back: "Fed back", verified: "Verified",
    deferred: "Deferred", closed: "Closed", voided: "Voided",
  },
  step: {
    accept: "Accept", dispatch: "Dispatch", handle: "Handle", feedback: "Feedback", verify: "Verify", close: "Close", return: "Return", void: "Void",
    extend: "Extend", defer: "Defer", supervise: "Supervise",
  },
};
