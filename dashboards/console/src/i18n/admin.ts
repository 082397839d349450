// Words of the screen `admin`.

import type { Same } from "./language";

export const zh = {
  tabs: { users: "用户", tokens: "令牌", audit: "审计", rights: "权限表" },
  add_user: "新增用户", add_token: "新增令牌", name: "用户名", display_name: "姓名", role: "角色", state: "状态", last_seen: "最近活动", password: "初始口令",
  password_hint: (n: number) => `至少 ${n} 位。首次登录时必须修改。`, name_hint: "登录用, 不能更改。",
  enabled: "启用", disabled: "停用", locked: (until: string) => `已锁定至 ${until}`, to_change: "须改口令", never: "从未",
  edit: "修改", unlock: "解除锁定", reset_password: "重设口令", remove: "删除", disable: "停用", enable: "启用", saved: "已保存。",
  remove_user: (name: string) => `删除用户 ${name}`, remove_user_why: "其登录立即失效。审计记录保留。",
  remove_token: (name: string) => `删除令牌 ${name}`, remove_token_why: "使用它的程序立即无法访问。",
  configured: "来自配置文件, 只能在那里更改", made: "令牌只显示这一次, 请立即保存:", no_users: "没有用户, 只有令牌。", no_tokens: "没有令牌。",
  chain: (seq: number) => `哈希链末端 #${seq}`, check: "校验哈希链", whole: (n: number) => `✔ ${n} 条记录全部与写入时一致`, chain_why: "另行保存此哈希; 之后用下列命令证明记录未被改动:",
  search: "搜索人员、动作、对象", at: "时间", who: "人员", action: "动作", subject: "对象", detail: "内容", older: "更早", newest: "最新",
  export: "导出 CSV", none_found: "没有匹配的审计记录", no_audit: "还没有审计记录",
  right: "权限", yes: "有", no: "无",
};

export const en: Same<typeof zh> = {
  tabs: { users: "Users", tokens: "Tokens", audit: "Audit", rights: "Rights" },
  add_user: "Add user", add_token: "Add token", name: "User name", display_name: "Name", role: "Role", state: "State", last_seen: "Last seen", password: "First password",
  password_hint: (n) => `At least ${n} characters. It is changed at the first sign-in.`, name_hint: "For signing in; stays as it is.",
  enabled: "Enabled", disabled: "Disabled", locked: (until) => `Locked out until ${until}`, to_change: "Must change password", never: "Never",
  edit: "Edit", unlock: "Unlock", reset_password: "New password", remove: "Remove", disable: "Disable", enable: "Enable", saved: "Saved.",
  remove_user: (name) => `Remove user ${name}`, remove_user_why: "Signs the person out at once. The audit trail stays.",
  remove_token: (name) => `Remove token ${name}`, remove_token_why: "Programs that use it lose access at once.",
  configured: "Of the configuration; changes there only", made: "This token is shown once only. Keep it now:", no_users: "No users, only tokens.", no_tokens: "No tokens.",
  chain: (seq) => `End of the hash chain #${seq}`, check: "Check the hash chain", whole: (n) => `✔ all ${n} records are as they were written`, chain_why: "Keep this hash elsewhere; later this command proves that nothing was altered:",
  search: "Search people, actions, subjects", at: "Time", who: "Who", action: "Action", subject: "Subject", detail: "Detail", older: "Older", newest: "Newest",
  export: "Export CSV", none_found: "No audit record matches", no_audit: "No audit records yet",
  right: "Right", yes: "Yes", no: "No",
};
