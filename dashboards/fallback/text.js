// Every word that the page shows, in Chinese first and in English.

const zh = {
  title: "感知值班台", other_language: "English", sign_in: "登录", sign_out: "退出",
  sign_in_why: "请输入访问令牌。令牌由管理员用 cityhub admin token add 生成，只保存在本标签页。",
  token: "访问令牌", bad_token: "令牌无效，请核对后重试。",
  forbidden: "此令牌的角色不能查看报警。", unreachable: "连接不上服务器，请稍后重试。",
  alarms: "当前报警", severity: "级别", state: "状态", where: "设备", what: "内容", value: "数值 / 限值",
  raised: "发生时间", age: "持续", count: "次数", ack: "确认", sending: "提交中",
  not_sent: "未送达，重试", changed: "已变化，请重看", not_allowed: "无权确认",
  critical: "特急", major: "紧急", minor: "重要", warning: "一般",
  active_unacked: "未确认", active_acked: "处置中", cleared_unacked: "恢复未确认",
  latched_unacked: "锁存未确认", latched_acked: "锁存待复位", shelved: "搁置", suppressed: "抑制",
  out_of_service: "检修停用", normal: "已恢复",
  online: "设备在线", offline: "设备离线", never_seen: "从未上报", ingest: "数据 / 秒",
  link_off: "未登录", link_opening: "正在连接…",
  link_live: (since, age) => `实时连接正常 · 自 ${since} · 心跳 ${age} 秒前`,
  link_broken: (since) => `实时连接中断 · 自 ${since}`,
  banner: (since, age) => `实时连接自 ${since} 中断（${age}）。下面的报警可能已经过时，正在重新连接。`,
  empty_live: (age) => `无未处理报警 · 实时连接正常 · 心跳 ${age} 秒前`,
  empty_unknown: "没有实时连接，无法确认是否有报警。",
  shown: (shown, all) => `显示 ${shown} / ${all} 条`,
  fresh: (n) => `${n} 条新报警，点击显示`,
  proof: (seq) => `序号 ${seq}`, skew: (s) => `与服务器时钟差 ${s} 秒`,
  fallback: "简易页面 · 无需构建",
  announce: (n) => `${n} 条未确认报警`,
  kinds: {
    gas_pressure: "燃气压力", smoke: "烟感", noise: "噪声", dust: "扬尘", bike_fence: "单车围栏",
    bike: "共享单车", gateway: "网关", sewage: "污水", camera: "视频", truck: "渣土车", water_level: "水位",
  },
};

const en = {
  title: "Duty desk", other_language: "中文", sign_in: "Sign in", sign_out: "Sign out",
  sign_in_why: "Enter an access token. An administrator makes one with cityhub admin token add. It is kept in this tab only.",
  token: "Access token", bad_token: "This token is not valid. Check it and try again.",
  forbidden: "The role of this token may not see alarms.", unreachable: "The server cannot be reached. Try again later.",
  alarms: "Alarms now", severity: "Severity", state: "State", where: "Device", what: "What", value: "Value / limit",
  raised: "Raised", age: "Age", count: "Count", ack: "Acknowledge", sending: "Sending",
  not_sent: "Not delivered, retry", changed: "Changed, look again", not_allowed: "Not allowed",
  critical: "Critical", major: "Major", minor: "Minor", warning: "Warning",
  active_unacked: "Unacknowledged", active_acked: "Being handled", cleared_unacked: "Returned, unacknowledged",
  latched_unacked: "Latched, unacknowledged", latched_acked: "Latched", shelved: "Shelved", suppressed: "Suppressed",
  out_of_service: "Out of service", normal: "Normal",
  online: "Online", offline: "Offline", never_seen: "Never seen", ingest: "Values / s",
  link_off: "Not signed in", link_opening: "Connecting…",
  link_live: (since, age) => `Live since ${since} · heartbeat ${age} s ago`,
  link_broken: (since) => `Link lost since ${since}`,
  banner: (since, age) => `The live link is lost since ${since} (${age}). The alarms below may be out of date. Reconnecting.`,
  empty_live: (age) => `No open alarms · link is live · heartbeat ${age} s ago`,
  empty_unknown: "There is no live link, so nobody knows whether there are alarms.",
  shown: (shown, all) => `${shown} of ${all} shown`,
  fresh: (n) => `${n} new, click to show`,
  proof: (seq) => `Sequence ${seq}`, skew: (s) => `Clock differs by ${s} s`,
  fallback: "Fallback page · needs no build",
  announce: (n) => `${n} unacknowledged alarms`,
  kinds: {
    gas_pressure: "Gas pressure", smoke: "Smoke", noise: "Noise", dust: "Dust", bike_fence: "Bike fence",
    bike: "Bike", gateway: "Gateway", sewage: "Sewage", camera: "Camera", truck: "Truck", water_level: "Water level",
  },
};

const KEY = "cityhub.language";
let current = localStorage.getItem(KEY) === "en" ? en : zh;

export function text() {
  return current;
}

export function languageTag() {
  return current === zh ? "zh-CN" : "en";
}

export function switchLanguage() {
  current = current === zh ? en : zh;
  localStorage.setItem(KEY, current === zh ? "zh" : "en");
}
