// Writes `.br` and `.gz` beside every text file of `dist`: the hub serves them as they are. On plain http browsers take gzip alone,
// so it is made once with all care: 4 % smaller than by zlib.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { gzipAsync } from "@gfx/zopfli";

const TEXT = /\.(html|js|css|svg|json|txt|webmanifest)$/;
// Below this a response fits in one packet as it is.
const BYTES_MIN = 600;

for (const entry of readdirSync("dist", { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !TEXT.test(entry.name)) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const raw = readFileSync(path);
  if (raw.length < BYTES_MIN) continue;
  writeFileSync(`${path}.gz`, await gzipAsync(raw, { numiterations: 30 }));
  writeFileSync(`${path}.br`, brotliCompressSync(raw, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
  }));
}
