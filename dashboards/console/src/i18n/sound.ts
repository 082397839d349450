// Words of the sound: its state, its test.

import type { Same } from "./language";

export const zh = {
  on: "声音 开", off: "声音 关", blocked: "声音被阻止", muted: (s: number) => `消音 ${s} 秒`,
  turn_off: "关闭声音", turn_on: "开启声音", mute: "消音 120 秒", unmute: "恢复声音",
  menu: "声音设置", volume: "音量", test: "声音自检",
  mute_note: "消音 120 秒",
  bar: "声音被浏览器阻止, 报警不会响。", enable: "点击开启声音",
  other_tab: "由另一个标签页发声",
  tones: { critical: "Ⅰ 特急: 连续双音", major: "Ⅱ 紧急: 每 5 秒两声", minor: "Ⅲ 重要: 每分钟一声", link_lost: "连接中断: 下降三声", shelf_end: "搁置到期: 一声长音" },
  test_why: "逐个播放, 确认听得到。结果记入值班日志。",
  play: "播放", heard: "听到", not_heard: "未听到", save: "记录结果", saved: "声音自检已记录。", not_saved: (why: string) => `自检结果未能记入值班日志: ${why}`, mute_not_recorded: (why: string) => `已消音, 但未能记入值班日志: ${why}`,
  result: (heard: string, missed: string) => `声音自检: 听到 ${heard || "无"}; 未听到 ${missed || "无"}`,
  title_flash: "声音被阻止",
};

export const en: Same<typeof zh> = {
  on: "Sound on", off: "Sound off", blocked: "Sound blocked", muted: (s) => `Silent ${s} s`,
  turn_off: "Turn sound off", turn_on: "Turn sound on", mute: "Silence for 120 s", unmute: "Sound again",
  menu: "Sound settings", volume: "Volume", test: "Sound test",
  mute_note: "Silenced for 120 s",
  bar: "The browser blocks sound: alarms will be silent.", enable: "Click to allow sound",
  other_tab: "another tab sounds",
  tones: { critical: "Ⅰ Critical: two tones without end", major: "Ⅱ Major: two beeps each 5 s", minor: "Ⅲ Minor: one beep a minute", link_lost: "Link lost: three falling tones", shelf_end: "Shelf over: one long tone" },
  test_why: "Play each and say whether you hear it. The result goes into the shift log.",
  play: "Play", heard: "Heard", not_heard: "Not heard", save: "Record", saved: "Sound test recorded.", not_saved: (why) => `The result is not in the shift log: ${why}`, mute_not_recorded: (why) => `Silenced, but the shift log does not say so: ${why}`,
  result: (heard, missed) => `Sound test: heard ${heard || "none"}; not heard ${missed || "none"}`,
  title_flash: "Sound blocked",
};
