// The shared worker: owns the connection, so that six tabs do not use up the browser's six.

import { keepOpen } from "./source";
import { Switchboard, type Down, type Tab, type Up } from "./switchboard";

const board = new Switchboard(keepOpen, () => performance.now());
setInterval(() => board.sweep(), 10_000);

interface ConnectScope {
  onconnect: ((event: MessageEvent) => void) | null;
}

(self as unknown as ConnectScope).onconnect = (event) => {
  const port = event.ports[0];
  if (port === undefined) return;
  const tab: Tab = { send: (message: Down) => port.postMessage(message) };
  port.onmessage = (message: MessageEvent<Up>) => board.hear(tab, message.data);
};
