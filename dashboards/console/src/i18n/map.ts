// Words of the screen `map`.

import type { Same } from "./language";

export const zh = {
  layers: "图层", abnormal: "异常", grid: "网格", fleet: "全部设备", heat: "热度", kind: "类型", all_kinds: "全部类型", district: "网格", all_grids: "全市",
  drawing: { road: "道路", water: "水系", boundary: "边界", site: "场所", grid: "网格" },
  time: "时间", live: "现在", replay: "回放", replay_at: "回放时刻", replay_note: "回放只含报警, 不含设备状态与确认过程", replay_cut: "只读到最近 10,000 条报警",
  measure: "测距", measured: (m: string) => `距离 ${m}`, full: "全屏", fit: "全览", nearer: "放大", farther: "缩小", follow: "跟随新 Ⅰ 级",
  map: "地图", list: "列表",
  instructions: "方向键移动, 加减号缩放, Tab 依次查看异常点, 回车打开, Esc 取消选择; 按住 Shift 拖动框选。右侧列表内容相同。",
  skip: "跳过地图, 到列表",
  in_view: (n: number) => `当前视野 ${n} 条`, outside: (n: number) => `视野外 ${n} 条`,
  nothing: "当前视野内没有异常", nowhere: (n: number) => `无坐标 ${n}`, nowhere_title: "没有坐标的设备", nowhere_text: (n: number) => `${n} 台设备没有坐标, 不在地图上显示。在台账中补充 lon、lat。`,
  nowhere_alarms: "其中有报警的:",
  legend: "图例", unacked: "未确认", acked: "处置中", cleared: "恢复未确认", normal: "正常", off: "离线或异常", cluster: "聚合 (数量)", heat_scale: "10 分钟报警数",
  datum: "坐标系", approval: (n: string) => `审图号 ${n}`, no_approval: "底图未填写审图号 (map.tiles.approval_no)", tiles_failed: "底图取不到, 已改用本市矢量底图。",
  no_drawings: "未配置城市底图, 只显示网格与点位。在配置 [map.layers] 中添加 GeoJSON。",
  grid_card: (code: string) => `网格 ${code}`, devices: "设备", open_alarms: "未结报警", raised_10min: "近 10 分钟", days_30: "近 30 天", its_devices: "看设备", its_alarms: "看报警",
  open: "打开", select: "选择", selected: (n: number) => `已选 ${n} 条`, ack_selected: "确认所选", clear: "取消选择",
  ack_title: (n: number) => `确认 ${n} 条报警`, comment: "说明", comment_why: "含 Ⅰ 级, 必须填写说明", done: (ok: number, failed: number) => `已确认 ${ok} 条${failed > 0 ? `, 未成功 ${failed} 条` : ""}`,
  times: (n: number) => `${n} 条`, group: (n: number) => `此网格 ${n} 条报警`,
  key: { fit: "全览" },
};

export const en: Same<typeof zh> = {
  layers: "Layers", abnormal: "Abnormal", grid: "Grids", fleet: "All devices", heat: "Heat", kind: "Kind", all_kinds: "All kinds", district: "Grid", all_grids: "Whole city",
  drawing: { road: "Roads", water: "Water", boundary: "Boundaries", site: "Sites", grid: "Grids" },
  time: "Time", live: "Now", replay: "Replay", replay_at: "Moment", replay_note: "Replays alarms alone, neither devices nor acknowledgements", replay_cut: "only the newest 10,000 alarms were read",
  measure: "Measure", measured: (m) => `Distance ${m}`, full: "Full screen", fit: "Fit all", nearer: "Closer", farther: "Farther", follow: "Follow new Ⅰ",
  map: "Map", list: "List",
  instructions: "Arrows move, plus and minus zoom, Tab goes through what is abnormal, Enter opens, Esc lets go; Shift and drag selects a box. The list beside says the same.",
  skip: "Skip the map, to the list",
  in_view: (n) => `${n} in view`, outside: (n) => `${n} outside`,
  nothing: "Nothing abnormal in view", nowhere: (n) => `No place ${n}`, nowhere_title: "Devices without a place", nowhere_text: (n) => `${n} devices have no coordinates and are not on the map. Add lon and lat to the register.`,
  nowhere_alarms: "Those with alarms:",
  legend: "Legend", unacked: "not acknowledged", acked: "in hand", cleared: "recovered, not acknowledged", normal: "normal", off: "offline or odd", cluster: "cluster (how many)", heat_scale: "alarms in 10 minutes",
  datum: "Datum", approval: (n) => `Map approval ${n}`, no_approval: "The base map has no approval number (map.tiles.approval_no)", tiles_failed: "The base map cannot be reached; the city's own drawing is shown.",
  no_drawings: "No city drawing is configured: grids and points alone. Add GeoJSON under [map.layers].",
  grid_card: (code) => `Grid ${code}`, devices: "Devices", open_alarms: "Open alarms", raised_10min: "In 10 minutes", days_30: "In 30 days", its_devices: "Its devices", its_alarms: "Its alarms",
  open: "Open", select: "Select", selected: (n) => `${n} selected`, ack_selected: "Acknowledge", clear: "Clear selection",
  ack_title: (n) => `Acknowledge ${n} alarms`, comment: "Comment", comment_why: "There are Ⅰ among them: a comment is needed", done: (ok, failed) => `${ok} acknowledged${failed > 0 ? `, ${failed} not` : ""}`,
  times: (n) => `${n}`, group: (n) => `${n} alarms in this grid`,
  key: { fit: "Fit all" },
};
