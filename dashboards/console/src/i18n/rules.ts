// Words of the screen `rules`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
