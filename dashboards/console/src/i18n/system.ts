// Words of the screen `system`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
