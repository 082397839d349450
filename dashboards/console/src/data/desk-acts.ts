// The acts of this desk, sent to the hub and settled by the stream.

import { AlarmActs } from "./alarm-actions";
import { alarmStore } from "./alarm-store";
import { alarms } from "./hub";

export const acts = new AlarmActs({
  act: (id, action, body, key) => alarms.act(id, action, body, key),
  bulk: (action, ids, body, key) => alarms.bulk(action, ids, body, key),
  take: (row) => alarmStore.take([row]),
  now: () => Date.now(),
});

alarmStore.onNews((news) => {
  for (const { row } of news) acts.settle(row);
});
