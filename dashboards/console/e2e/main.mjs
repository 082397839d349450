// The journeys: a real hub, a real browser, and what a duty officer does. `npm run journeys`; see README.md of the console.

import { after, describe } from "node:test";
import { closeBrowser } from "./desk.mjs";
import { alarmJourneys } from "./alarms.mjs";
import { deskJourneys } from "./desks.mjs";
import { linkJourneys } from "./link.mjs";
import { screenJourneys } from "./screens.mjs";
import { shiftJourneys } from "./shifts.mjs";

after(closeBrowser);

// Some journeys wait for the hub's clock: others go on meanwhile.
describe("journeys", { concurrency: 4 }, () => {
  linkJourneys();
  alarmJourneys();
  shiftJourneys();
  deskJourneys();
  screenJourneys();
});
