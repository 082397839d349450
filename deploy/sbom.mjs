#!/usr/bin/env node
// sbom.mjs BINARY > cityhub.cdx.json: what is in a release, as CycloneDX 1.6.
//
// Crates: those that `cargo tree` builds into the program with the features of a release; what only helps to build it has
// scope `excluded`. C code that crates bring along is named beside them, because that is what advisories are about.
// Packages of the console: what its bundle takes in; its build tools are `excluded` too. Nothing is fetched.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FEATURES = "influx";
const top = join(dirname(fileURLToPath(import.meta.url)), "..");
const binary = process.argv[2];
if (!binary) {
  process.stderr.write("usage: sbom.mjs BINARY\n");
  process.exit(2);
}
const run = (command, ...args) => execFileSync(command, args, { cwd: top, encoding: "utf8", maxBuffer: 1 << 28 });
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const host = run("rustc", "-vV").match(/^host: (.*)$/m)[1];
const target = process.env.CARGO_BUILD_TARGET || host;
const tree = run("cargo", "tree", "--locked", "--package", "hub", "--features", FEATURES, "--edges", "normal,build",
  "--target", target, "--prefix", "none", "--format", "{p}");
const built = new Set(tree.split("\n").map((line) => line.match(/^(\S+) v(\S+)/)).filter(Boolean).map(([, name, version]) => `${name}@${version}`));
const metadata = JSON.parse(run("cargo", "metadata", "--locked", "--format-version", "1", "--all-features", "--filter-platform", target));
const checksums = new Map([...readFileSync(join(top, "Cargo.lock"), "utf8").matchAll(
  /name = "([^"]+)"\nversion = "([^"]+)"\nsource = "[^"]+"\nchecksum = "([0-9a-f]{64})"/g)].map(([, name, version, sum]) => [`${name}@${version}`, sum]));
const packages = new Map(metadata.packages.map((crate) => [crate.id, crate]));
const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]));
const nameOf = (id) => `${packages.get(id).name}@${packages.get(id).version}`;
const isMacro = (crate) => crate.targets.some((target) => target.kind.includes("proc-macro"));

const root = metadata.packages.find((crate) => crate.name === "hub" && crate.source === null);
const edges = (id, kinds) => nodes.get(id).deps
  .filter((dep) => dep.dep_kinds.some((kind) => kinds.includes(kind.kind)))
  .map((dep) => dep.pkg)
  .filter((dep) => built.has(nameOf(dep)));
const reach = (kinds, isEnd) => {
  const found = new Set([root.id]);
  for (const id of found) {
    if (!isEnd(id)) edges(id, kinds).forEach((dep) => found.add(dep));
  }
  return found;
};
// A macro and all below it run in the compiler and leave nothing of themselves.
const linked = new Set([...reach([null], (id) => isMacro(packages.get(id)))].filter((id) => !isMacro(packages.get(id))));
const all = reach([null, "build"], () => false);

// A list that knows one name of a licence knows only these operators.
const licences = (expression) => (expression ? [{ expression: expression.replaceAll("/", " OR ") }] : undefined);
const component = (fields) => Object.fromEntries(Object.entries({ type: "library", ...fields }).filter(([, value]) => value !== undefined));
const links = (crate) => {
  const found = [crate.repository && { type: "vcs", url: crate.repository }].filter(Boolean);
  return found.length > 0 ? found : undefined;
};
const hash = (hex) => (hex ? [{ alg: "SHA-256", content: hex }] : undefined);
const refOf = (id) => `pkg:cargo/${nameOf(id)}`;
const crates = [...all].filter((id) => id !== root.id).map((id) => {
  const crate = packages.get(id);
  return component({
    "bom-ref": refOf(id),
    name: crate.name,
    version: crate.version,
    scope: linked.has(id) ? "required" : "excluded",
    hashes: hash(checksums.get(nameOf(id))),
    licenses: licences(crate.license),
    purl: crate.source === null ? undefined : `pkg:cargo/${crate.name}@${encodeURIComponent(crate.version)}`,
    externalReferences: links(crate),
  });
});

// C libraries that a crate compiles and links: file that names the version, and how.
const NATIVE = [
  ["libsqlite3-sys", "sqlite", "sqlite3/sqlite3.h", /#define SQLITE_VERSION\s+"([^"]+)"/, "blessing", "cpe:2.3:a:sqlite:sqlite:VERSION:*:*:*:*:*:*:*"],
  ["zstd-sys", "zstd", "zstd/lib/zstd.h", /#define ZSTD_VERSION_MAJOR\s+(\d+)[^]*?#define ZSTD_VERSION_MINOR\s+(\d+)[^]*?#define ZSTD_VERSION_RELEASE\s+(\d+)/, "BSD-3-Clause", "cpe:2.3:a:facebook:zstandard:VERSION:*:*:*:*:*:*:*"],
];
const native = [];
for (const id of linked) {
  const crate = packages.get(id);
  for (const [name, library, file, pattern, licence, cpe] of NATIVE.filter(([name]) => name === crate.name)) {
    const version = readFileSync(join(dirname(crate.manifest_path), file), "utf8").match(pattern)?.slice(1).join(".");
    if (!version) throw new Error(`${name} does not say which ${library} it is`);
    native.push({
      under: id,
      component: component({ "bom-ref": `c:${library}@${version}`, name: library, version, scope: "required", licenses: licences(licence), cpe: cpe.replace("VERSION", version) }),
    });
  }
}

// The console: what its code imports, and what that imports in a browser.
const folder = join(top, "dashboards/console");
const npm = [];
if (existsSync(join(folder, "package-lock.json"))) {
  const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")).packages;
  const shipped = new Set(["svelte"]);
  const walk = (path) => readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(join(path, entry.name)) : [join(path, entry.name)]);
  for (const part of ["client", "shared", "flags"]) {
    const sources = join(folder, "node_modules/svelte/src/internal", part);
    for (const file of existsSync(sources) ? walk(sources).filter((name) => name.endsWith(".js")) : []) {
      for (const [, name] of readFileSync(file, "utf8").matchAll(/^(?:import|export)[^;]*? from '([^.#'][^']*)'/gm)) {
        shipped.add(name.split("/").slice(0, name.startsWith("@") ? 2 : 1).join("/"));
      }
    }
  }
  for (const [path, entry] of Object.entries(lock)) {
    const name = path.split("node_modules/").pop();
    // What npm did not install here, such as binaries for other systems, is in no release.
    if (!name || entry.link || !existsSync(join(folder, path))) continue;
    const purl = `pkg:npm/${name.replace("@", "%40")}@${entry.version}`;
    npm.push(component({
      "bom-ref": `npm:${path}@${entry.version}`,
      name,
      version: entry.version,
      scope: path === `node_modules/${name}` && shipped.has(name) ? "required" : "excluded",
      hashes: entry.integrity?.startsWith("sha512-") ? [{ alg: "SHA-512", content: Buffer.from(entry.integrity.slice(7), "base64").toString("hex") }] : undefined,
      licenses: licences(entry.license),
      purl,
    }));
  }
}

const components = [...crates, ...native.map((part) => part.component), ...npm]
  .sort((a, b) => (a["bom-ref"] < b["bom-ref"] ? -1 : 1));
const dependencies = [...all].map((id) => ({
  ref: id === root.id ? "cityhub" : refOf(id),
  dependsOn: [...new Set([
    ...edges(id, [null, "build"]).map(refOf),
    ...native.filter((part) => part.under === id).map((part) => part.component["bom-ref"]),
    ...(id === root.id ? npm.filter((part) => part.scope === "required").map((part) => part["bom-ref"]) : []),
  ])].sort(),
})).sort((a, b) => (a.ref < b.ref ? -1 : 1));

const seconds = process.env.SOURCE_DATE_EPOCH || run("git", "log", "-1", "--format=%ct").trim();
const document = {
  $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: {
    timestamp: new Date(Number(seconds) * 1000).toISOString().replace(".000", ""),
    lifecycles: [{ phase: "build" }],
    component: component({
      type: "application", "bom-ref": "cityhub", name: "cityhub", version: root.version,
      hashes: hash(sha256(readFileSync(binary))), licenses: licences(root.license),
    }),
    properties: [{ name: "cityhub:target", value: target }, { name: "cityhub:features", value: FEATURES }],
  },
  components,
  dependencies,
};
// The same release has the same number.
const digest = sha256(JSON.stringify(document));
const uuid = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-a${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
document.serialNumber = `urn:uuid:${uuid}`;
process.stdout.write(`${JSON.stringify(document, null, 1)}\n`);
