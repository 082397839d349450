// Words of the screen `wall`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
