// Words of the kit: dialogs, tables, and the states that every screen shares.

import type { Same } from "./language";

export const zh = {
  close: "关闭", cancel: "取消", confirm: "确定", save: "保存", retry: "重试", none: "无",
  loading: "正在读取…", slow: "读取比平时慢…",
  empty_unproven: "数据是否为空无法确认: 实时连接不正常",
  proof: (age: string) => `实时连接正常 · ${age} 秒前`,
  failed: "读取失败",
  failed_since: (since: string) => `自 ${since}`,
  request_id: (id: string) => `请求号 ${id}`,
  forbidden: (right: string, roles: string) => `没有权限: ${right}。${roles ? `有此权限的角色: ${roles}。` : ""}请联系管理员授予。`,
  rights: {
    read: "读取数据与报警", act: "处置报警", shelve_critical: "搁置 Ⅰ 级", sign_handover: "交接班签名", approve: "批准规则", backtest: "试算规则",
    edit: "编辑设备与规则", admin: "管理用户", audit: "查看审计", report_steps: "上报案件步骤",
  } as Record<string, string>,
  password: "口令", password_why: "请输入口令以确认。", wrong_password: "口令不对。",
  keys: "快捷键", keys_hint: "按 Esc 关闭。单键可在设置中关闭。", keys_general: "通用",
  key: { help: "显示快捷键", palette: "跳转与命令", note: "记入值班日志", go: (screen: string) => `前往 ${screen}` },
  palette: "跳转与命令", palette_placeholder: "输入页面、设备、网格或命令", palette_none: "没有匹配的命令",
  required: "必填",
  problem: {
    unreachable: "连接不上服务器。", timeout: "服务器没有及时回答。", locked: "操作已锁定, 请先解锁。",
  },
  severity: "级别", state: "状态",
};

export const en: Same<typeof zh> = {
  close: "Close", cancel: "Cancel", confirm: "OK", save: "Save", retry: "Retry", none: "None",
  loading: "Reading…", slow: "This takes longer than usual…",
  empty_unproven: "Not known to be empty: the live link is not well",
  proof: (age) => `live link is well · ${age} s ago`,
  failed: "Could not read",
  failed_since: (since) => `since ${since}`,
  request_id: (id) => `Request ${id}`,
  forbidden: (right, roles) => `You lack a right: ${right}. ${roles ? `Roles that have it: ${roles}. ` : ""}An administrator can grant it.`,
  rights: {
    read: "Read data and alarms", act: "Act on alarms", shelve_critical: "Shelve Ⅰ", sign_handover: "Sign handovers", approve: "Approve rules", backtest: "Try rules",
    edit: "Edit devices and rules", admin: "Manage users", audit: "Read the audit trail", report_steps: "Report steps of cases",
  },
  password: "Password", password_why: "Enter your password to confirm.", wrong_password: "Wrong password.",
  keys: "Keys", keys_hint: "Esc closes. Single keys can be turned off in the settings.", keys_general: "Everywhere",
  key: { help: "Show keys", palette: "Go to and commands", note: "Write into the shift log", go: (screen) => `Go to ${screen}` },
  palette: "Go to and commands", palette_placeholder: "Type a page, device, grid or command", palette_none: "Nothing matches",
  required: "Required",
  problem: {
    unreachable: "The hub cannot be reached.", timeout: "The hub did not answer in time.", locked: "Actions are locked; unlock first.",
  },
  severity: "Severity", state: "State",
};
