// What the hub says of its city: names, levels, metrics, map. Known before the first screen is drawn.

import { Problem } from "./api";
import { cell } from "./cell";
import { system, type Health } from "./hub";
import type { PublicConfig, Severity, Words } from "./rows";
import { zone } from "./time";

/** The names that the statutory order of colours gives, for a hub that does not say others. */
export const PLAIN: PublicConfig = {
  city: { name: "", code: "", time_zone: "Asia/Shanghai" },
  build: { version: "", hash: "" },
  severities: {
    critical: { numeral: "Ⅰ", zh: "特急", en: "Critical" },
    major: { numeral: "Ⅱ", zh: "紧急", en: "Major" },
    minor: { numeral: "Ⅲ", zh: "重要", en: "Minor" },
    warning: { numeral: "Ⅳ", zh: "一般", en: "Warning" },
  },
  kinds: {
    gas_pressure: { zh: "燃气压力", en: "Gas pressure" },
    smoke: { zh: "烟感", en: "Smoke" },
    noise: { zh: "噪声", en: "Noise" },
    dust: { zh: "扬尘", en: "Dust" },
    bike_fence: { zh: "单车围栏", en: "Bike fence" },
    bike: { zh: "共享单车", en: "Shared bike" },
    gateway: { zh: "网关", en: "Gateway" },
  },
  metrics: {
    pressure_kpa: { zh: "压力", en: "Pressure", unit: "kPa" },
    temperature_c: { zh: "温度", en: "Temperature", unit: "°C" },
    humidity_pct: { zh: "湿度", en: "Humidity", unit: "%" },
    battery_pct: { zh: "电量", en: "Battery", unit: "%" },
    smoke_obscuration_dbm: { zh: "烟雾浓度", en: "Smoke obscuration", unit: "dB/m" },
    smoke_alarm: { zh: "火警", en: "Fire alarm", unit: "" },
    fault: { zh: "故障", en: "Fault", unit: "" },
    laeq_dba: { zh: "等效声级", en: "LAeq", unit: "dB(A)" },
    lamax_dba: { zh: "最大声级", en: "LAmax", unit: "dB(A)" },
    pm10_ugm3: { zh: "PM10", en: "PM10", unit: "µg/m³" },
    pm25_ugm3: { zh: "PM2.5", en: "PM2.5", unit: "µg/m³" },
    tsp_ugm3: { zh: "TSP", en: "TSP", unit: "µg/m³" },
    wind_speed_ms: { zh: "风速", en: "Wind speed", unit: "m/s" },
    wind_direction_deg: { zh: "风向", en: "Wind direction", unit: "°" },
    air_pressure_kpa: { zh: "气压", en: "Air pressure", unit: "kPa" },
    parked_count: { zh: "停放数", en: "Parked", unit: "" },
    position: { zh: "位置", en: "Position", unit: "" },
  },
  map: { layers: [], tiles: null, center: null, zoom: null },
  quick_phrases: [],
  demo: false,
};

export const site = cell<PublicConfig>(PLAIN);

/** Fills what the hub left out with the plain names. */
export function merged(found: Partial<PublicConfig>): PublicConfig {
  return {
    ...PLAIN, ...found,
    severities: { ...PLAIN.severities, ...found.severities },
    kinds: { ...PLAIN.kinds, ...found.kinds },
    metrics: { ...PLAIN.metrics, ...found.metrics },
    map: { ...PLAIN.map, ...found.map },
  };
}

export async function loadSite(): Promise<void> {
  try {
    site.set(merged(await system.config()));
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    const health = await system.health<Health>();
    site.set({ ...PLAIN, city: health.city, build: { version: health.version, hash: "" } });
  }
  zone.set(site.get().city.time_zone);
}

const PATIENCE_MS = 3_000;

/** Waits for what the hub says of its city, but not for ever: a map without it is better than none. */
export function siteKnown(): Promise<PublicConfig> {
  return new Promise((resolve) => {
    let stop = (): void => undefined;
    const timer = setTimeout(() => { stop(); resolve(site.get()); }, PATIENCE_MS);
    stop = site.subscribe((found) => {
      if (found === PLAIN) return;
      clearTimeout(timer);
      queueMicrotask(() => { stop(); resolve(found); });
    });
  });
}

export type Language = "zh" | "en";

export function kindName(config: PublicConfig, kind: string, language: Language): string {
  return config.kinds[kind]?.[language] ?? kind;
}

export function metricName(config: PublicConfig, metric: string, language: Language): string {
  return config.metrics[metric]?.[language] ?? metric;
}

export function severityName(config: PublicConfig, severity: Severity, language: Language): string {
  const found: Words & { numeral: string } = config.severities[severity];
  return `${found.numeral} ${found[language]}`;
}
