// Words of the screen `admin`.

import type { Same } from "./language";

export const zh = {};

export const en: Same<typeof zh> = {};
