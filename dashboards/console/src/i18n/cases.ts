// Words of the screen `cases`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
