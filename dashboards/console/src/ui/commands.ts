// What Ctrl+K finds: screens, and whatever the screen at hand offers.

export interface Command {
  id: string;
  title: string;
  /** What else it is found by, such as an id or pinyin. */
  hint?: string;
  run: () => void;
}

type Source = (text: string) => Command[];
const sources = new Set<Source>();

/** Adds commands, which may depend on what was typed; the answer takes them away. */
export function offerCommands(source: Source): () => void {
  sources.add(source);
  return () => sources.delete(source);
}

const FOUND_MAX = 30;

/** All words must occur; titles that begin with the text come first. */
export function findCommands(text: string): Command[] {
  const wanted = text.trim().toLowerCase();
  const parts = wanted.split(/\s+/).filter(Boolean);
  const found: Command[] = [];
  for (const source of sources) {
    for (const command of source(text.trim())) {
      const all = `${command.title} ${command.hint ?? ""}`.toLowerCase();
      if (parts.every((part) => all.includes(part))) found.push(command);
    }
  }
  const starts = (command: Command): number => (wanted !== "" && command.title.toLowerCase().startsWith(wanted) ? 0 : 1);
  return found.map((command, at) => ({ command, at }))
    .sort((a, b) => starts(a.command) - starts(b.command) || a.at - b.at)
    .slice(0, FOUND_MAX).map(({ command }) => command);
}
