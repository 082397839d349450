// Words of the screen `help`.

import type { Same } from "./language";

export const zh = {
  acts: "四个不同的动作", states: "报警状态", levels: "级别", link: "实时连接", about: "关于",
  show_keys: "显示快捷键", means: "含义", state: "状态", sound: "声音",
  words: {
    silence: ["消音", "本机静音 120 秒。不确认任何报警, 新的 Ⅰ 级立即打破静音。"],
    ack: ["确认", "我已看到并负责。报警仍在列表中, 直到条件恢复。"],
    shelve: ["搁置", "有时限、有理由地移出列表; 到期自动返回并提示。"],
    close: ["办结", "案件的最后一步, 属于城市平台。传感器恢复只是证据, 不会自动办结。"],
  } as Record<string, readonly string[]>,
  state_words: {
    active_unacked: "条件成立, 无人确认。按级别发声。",
    cleared_unacked: "条件已恢复, 仍待确认。",
    latched_unacked: "已恢复但锁存, 需要确认并复位。",
    active_acked: "已确认, 条件仍成立。",
    latched_acked: "已确认, 等待复位。",
    shelved: "到期自动返回。",
    suppressed: "另一条报警是原因 (如网关离线)。",
    out_of_service: "设备检修, 不参与报警。",
    normal: "条件已恢复且已确认。",
  } as Record<string, string>,
  link_words: ["正常: 8 秒内收到心跳。", "迟到: 8 到 20 秒未收到。", "中断: 超过 20 秒。画面变灰, 每 5 秒重试; 空列表不表示没有报警。", "重新同步: 连接恢复后重新读取全部数据。"],
  never_empty: "只有实时连接被证明正常时, 空列表才显示为“没有”。",
  version: "版本", build: "构建", licence: "许可", licence_text: "Apache-2.0。控制台另含 Svelte、Leaflet、uPlot (MIT、BSD-2)。",
  interfaces: "接口文档", zone: "时区",
};

export const en: Same<typeof zh> = {
  acts: "Four different acts", states: "States of an alarm", levels: "Severities", link: "The live link", about: "About",
  show_keys: "Show keys", means: "Meaning", state: "State", sound: "Sound",
  words: {
    silence: ["Silence", "Mutes this desk for 120 s. It acknowledges nothing, and a new Ⅰ breaks it at once."],
    ack: ["Acknowledge", "I have seen it and it is mine. The alarm stays in the list until its condition ends."],
    shelve: ["Shelve", "Takes it out of the list for a time and a reason; it comes back by itself, with a tone."],
    close: ["Close", "The last step of a case; it belongs to the city's platform. A sensor that recovers is evidence and closes nothing."],
  },
  state_words: {
    active_unacked: "The condition holds and nobody has acknowledged it. Sounds by severity.",
    cleared_unacked: "The condition ended; still to be acknowledged.",
    latched_unacked: "Ended but latched: acknowledge, then reset.",
    active_acked: "Acknowledged; the condition still holds.",
    latched_acked: "Acknowledged; waits for its reset.",
    shelved: "Comes back by itself.",
    suppressed: "Another alarm is the cause, such as a gateway that is offline.",
    out_of_service: "The device is being worked on and raises nothing.",
    normal: "Ended and acknowledged.",
  },
  link_words: ["Live: a heartbeat within 8 s.", "Late: none for 8 to 20 s.", "Broken: none for more than 20 s. The screen turns grey and tries every 5 s; an empty list then means nothing.", "Resync: all data is read again after the link is back."],
  never_empty: "An empty list is called empty only while the live link is proven.",
  version: "Version", build: "Build", licence: "Licence", licence_text: "Apache-2.0. The console also contains Svelte, Leaflet and uPlot (MIT, BSD-2).",
  interfaces: "Interfaces", zone: "Time zone",
};
