// What happens between signing in and out: snapshot, link, clock, and what must be read again.

import { attachAgain, follow, link, onBeat, onReset, openLink, whileReading } from "../stream/link";
import { alarmStore, readAlarms } from "./alarm-store";
import { Problem } from "./api";
import { desk, askAgain, tokenNow, watchPerson } from "./session";
import type { Alarm } from "./rows";
import { loadSite } from "./site";
import { startClock } from "./time";

const POLL_MS = 5_000;
const RETRY_MS = 3_000;
const SWEEP_MS = 5_000;

/** The build that this page came with; another one at the hub means that the page is old. */
export const firstBuild = { name: null as string | null };

async function untilRead(stopped: () => boolean): Promise<number | null> {
  while (!stopped()) {
    try {
      return await readAlarms();
    } catch (error) {
      if (error instanceof Problem && (error.status === 401 || error.status === 403)) return null;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
  return null;
}

/** Begins for the person who is signed in; the answer ends it. */
export function beginDesk(): () => void {
  let over = false;
  let close = (): void => undefined;
  let reading = false;
  startClock();
  loadSite().catch(() => undefined);

  const readAgain = (): void => {
    if (reading || over) return;
    reading = true;
    whileReading(readAlarms())
      .then((seq) => attachAgain(tokenNow(), seq))
      .catch(() => setTimeout(readAgain, RETRY_MS))
      .finally(() => { reading = false; });
  };

  const stops = [
    follow<Alarm>("cityhub.alarm.", (events) => {
      alarmStore.take(events.map(({ event }) => event.data), events[events.length - 1]?.seq);
    }),
    onReset(readAgain),
    onBeat((beat) => {
      firstBuild.name ??= beat.build ?? null;
      if (beat.counts !== undefined) alarmStore.count(beat.counts);
    }),
    watchPerson(window),
  ];
  const sweep = setInterval(() => alarmStore.sweep(), SWEEP_MS);
  // Without a link the list is asked for: late is better than never.
  const poll = setInterval(() => {
    if (link.get().state === "broken") readAlarms().catch(() => undefined);
  }, POLL_MS);

  void untilRead(() => over).then((from) => {
    if (over || from === null) return;
    close = openLink({
      name: `${desk.get().session?.name ?? ""} ${tokenNow() === null ? "session" : "token"}`,
      token: tokenNow(), from, refused: () => void askAgain(),
    });
  });

  return () => {
    over = true;
    close();
    clearInterval(sweep);
    clearInterval(poll);
    for (const stop of stops) stop();
    alarmStore.clear();
  };
}
