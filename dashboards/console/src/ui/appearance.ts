// Day and night colours, and how dense rows are; both are the reader's choice.

import { cell, stored } from "../data/cell";

export type Theme = "auto" | "light" | "dark";
export type Density = "normal" | "compact";

export const theme = stored<Theme>("cityhub.theme", "auto", ["auto", "light", "dark"]);
export const density = stored<Density>("cityhub.density", "normal", ["normal", "compact"]);
export const narrow = cell(false);

const BEAT_MS = 500;
const NIGHT_FROM = 19;
const NIGHT_UNTIL = 7;
const NARROW = "(max-width: 760px)";

export function isDark(choice: Theme, hour: number): boolean {
  if (choice !== "auto") return choice === "dark";
  return hour >= NIGHT_FROM || hour < NIGHT_UNTIL;
}

/** Row height in pixels; the windowed table needs it as a number. */
export function rowHeight(of: Density, isNarrow: boolean): number {
  return isNarrow ? 56 : of === "compact" ? 28 : 36;
}

export function startAppearance(hourNow: () => number): () => void {
  let printing = false;
  const apply = (): void => {
    document.documentElement.dataset.theme = !printing && isDark(theme.get(), hourNow()) ? "dark" : "light";
    document.documentElement.dataset.density = density.get();
  };
  const stops = [theme.subscribe(apply), density.subscribe(apply)];
  // Paper is white, at night, too.
  const print = (event: Event): void => { printing = event.type === "beforeprint"; apply(); };
  for (const name of ["beforeprint", "afterprint"]) addEventListener(name, print);
  const timer = setInterval(apply, 60_000);
  // One beat for all marks that blink, once a second, and none for readers who want no motion.
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const beat = setInterval(() => {
    const root = document.documentElement;
    root.dataset.beat = root.dataset.beat === "off" || still.matches ? "on" : "off";
  }, BEAT_MS);
  const query = matchMedia(NARROW);
  const look = (): void => narrow.set(query.matches);
  look();
  query.addEventListener("change", look);
  return () => {
    stops.forEach((stop) => stop());
    for (const name of ["beforeprint", "afterprint"]) removeEventListener(name, print);
    clearInterval(timer);
    clearInterval(beat);
    query.removeEventListener("change", look);
  };
}
