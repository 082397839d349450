// Words of the screen `settings`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
