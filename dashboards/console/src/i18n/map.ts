// Words of the screen `map`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
