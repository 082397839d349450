// Words of the screen `alarms`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
