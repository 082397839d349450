// Words of the screen `devices`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
