// Beginnings of rules by kind of sensor: the limits of the built-in packs, with source and mark of certainty.

import type { Draft } from "./toml";

export interface Template { id: string; kind: string; draft: Draft }

const DAY = { times: ["06:00-22:00"] };
const NIGHT = { times: ["22:00-06:00"] };
const noise = (id: string, title: string, above: number, schedule: unknown): Template => ({
  id, kind: "noise", draft: {
    title, kind: "window", select: { kind: "noise", tags: { zone: "construction" } }, metric: "laeq_dba", aggregate: "leq", window_s: 1200, min_coverage_pct: 50, above, deadband: 1,
    severity: "minor", category: "0301", schedule, source: "GB 12523-2011", certainty: "V2, M",
  },
});
const battery = (kind: string): Template => ({
  id: `${kind}_battery`, kind, draft: { title: "电池电量低", kind: "threshold", select: { kind }, metric: "battery_pct", below: 15, deadband: 2, severity: "warning", source: "our proposal", certainty: "D" },
});
const silent = (kind: string): Template => ({
  id: `${kind}_silent`, kind, draft: { title: "设备离线", kind: "silence", select: { kind }, factor: 3, severity: "minor", source: "GB/T 28181: offline after 3 missed heartbeats, by analogy", certainty: "V2, D" },
});

export const TEMPLATES: readonly Template[] = [
  { id: "gas_overpressure", kind: "gas_pressure", draft: {
    title: "中压燃气管道超压", kind: "threshold", select: { kind: "gas_pressure", tags: { class: "medium" } }, metric: "pressure_kpa", above: 400, deadband: 8, on_delay_s: 15, off_delay_s: 30, severity: "critical",
    category: "0403", source: "GB 50028-2006, pressure classes of city gas pipes (gauge pressure)", certainty: "V2" } },
  { id: "gas_fall", kind: "gas_pressure", draft: {
    title: "燃气压力骤降", kind: "rate", select: { kind: "gas_pressure" }, metric: "pressure_kpa", window_s: 300, fall: 20, severity: "major", category: "0403", source: "operators' practice", certainty: "D" } },
  silent("gas_pressure"),
  { id: "smoke_fire", kind: "smoke", draft: {
    title: "烟感火警", kind: "threshold", select: { kind: "smoke" }, metric: "smoke_alarm", above: 0.5, off_delay_s: 60, severity: "critical", category: "0499", latch: true, source: "GB 20517-2025: the alarm judges itself", certainty: "V, D" } },
  battery("smoke"), silent("smoke"),
  noise("noise_day", "工地昼间噪声超标", 70, DAY), noise("noise_night", "工地夜间噪声超标", 55, NIGHT), silent("noise"),
  { id: "dust_tsp", kind: "dust", draft: {
    title: "工地扬尘超标", kind: "window", select: { kind: "dust" }, metric: "tsp_ugm3", aggregate: "mean", window_s: 300, above: 800, severity: "major", category: "0302", source: "DB21/2642-2016, DB61/1078-2017: TSP 0.8 mg/m³", certainty: "V2" } },
  silent("dust"),
  { id: "fence_full", kind: "bike_fence", draft: {
    title: "电子围栏车辆淤积", kind: "occupancy", select: { kind: "bike_fence" }, metric: "parked_count", levels: [{ capacity_ratio: 1.2, severity: "minor" }, { capacity_ratio: 1.5, severity: "major" }], on_delay_s: 900, off_delay_s: 120,
    category: "0506", source: "operators' agreements", certainty: "M, D" } },
  { id: "bike_outside", kind: "bike", draft: {
    title: "共享单车停放在电子围栏外", kind: "geofence", select: { kind: "bike" }, mode: "outside", fences: { select: { kind: "bike_fence" } }, buffer_m: 10, dwell_s: 600, confirm: 3, severity: "warning", category: "0506",
    source: "Xiamen 互联网租赁自行车管理办法, art. 9", certainty: "V2, D" } },
  silent("gateway"),
];
