// Words of the screen `kpi`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
