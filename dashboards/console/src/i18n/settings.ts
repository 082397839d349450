// Words of the screen `settings`.

import type { Same } from "./language";

export const zh = {
  look: "显示", language: "语言", theme: "配色", density: "行高", auto_theme_hint: "自动: 19:00 至 07:00 用夜间配色。",
  sound: "声音", sound_choice: { auto: "随职责 (能处置报警的人有声)", on: "开", off: "关" }, volume: "音量",
  volume_hint: "Ⅰ 级报警不低于 20 %。", test: "声音自检",
  keys: "单键快捷键", keys_hint: "关闭后, 只有带 Ctrl 的快捷键有效。", on: "开", off: "关",
  notifications: "桌面通知", ask: "允许通知", granted: "已允许", denied: "浏览器已禁止, 请在浏览器设置中更改。",
  insecure: "此地址不是安全连接 (https), 浏览器不提供桌面通知。声音不受影响。",
  person: "账号", change_password: "修改口令", name: "姓名", role: "角色", signed_in_since: "登录时间", session_ends: "登录有效至",
  kept: "以上选择只保存在这台电脑的浏览器中。",
};

export const en: Same<typeof zh> = {
  look: "Display", language: "Language", theme: "Colours", density: "Row height", auto_theme_hint: "Automatic: night colours from 19:00 to 07:00.",
  sound: "Sound", sound_choice: { auto: "By duty (on for those who act on alarms)", on: "On", off: "Off" }, volume: "Volume",
  volume_hint: "Ⅰ never sounds below 20 %.", test: "Sound test",
  keys: "Single keys", keys_hint: "When off, only keys with Ctrl work.", on: "On", off: "Off",
  notifications: "Desktop notifications", ask: "Allow notifications", granted: "Allowed", denied: "Forbidden by the browser; its settings can change that.",
  insecure: "This address is no secure connection (https), so the browser offers no desktop notifications. Sound is not affected.",
  person: "Account", change_password: "Change password", name: "Name", role: "Role", signed_in_since: "Signed in since", session_ends: "Signed in until",
  kept: "These choices stay in the browser of this computer.",
};
