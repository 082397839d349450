// Shows the pages of a folder in front of a hub, for work on the console without compiling: CONSOLE_DIST=dist npm run journeys

import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer, request } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

export async function front(folder, address) {
  const [host, port] = address.split(":");
  const policy = (await fetch(`http://${address}/`)).headers.get("content-security-policy");
  const server = createServer((asked, answer) => {
    if (asked.url.startsWith("/api/")) {
      const passed = request({ host, port, method: asked.method, path: asked.url, headers: asked.headers }, (reply) => {
        answer.writeHead(reply.statusCode, reply.headers);
        reply.pipe(answer);
        reply.on("error", () => answer.destroy());
        reply.on("aborted", () => answer.destroy());
      });
      passed.on("error", () => answer.destroy());
      answer.on("close", () => passed.destroy());
      asked.pipe(passed);
      return;
    }
    const wanted = join(folder, normalize(new URL(asked.url, "http://x").pathname));
    const file = existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(folder, "index.html");
    answer.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-security-policy": policy, "cache-control": "no-cache" });
    answer.end(readFileSync(file));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { port: server.address().port, close: () => { server.closeAllConnections(); server.close(); } };
}
