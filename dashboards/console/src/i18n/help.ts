// Words of the screen `help`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
