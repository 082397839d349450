// Words of the screen `handover`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
