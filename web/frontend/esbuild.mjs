// Bundles the pages' scripts and styles into one folder of files whose names carry a hash of their content, and writes a
// manifest that tells the templates which name stands for what. Called by build_hook.py, or by hand: `npm run build`.
//
// Every text file gets a gzip and a Brotli twin, because the server compresses nothing on the fly. Licence texts of what is
// bundled are collected into one notice. The output folder is emptied first, so it never holds files of an older build.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.resolve(here, process.argv[2] ?? "../static/dist");
const COMPRESSED = new Set([".js", ".css", ".svg"]);

const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  metafile: true,
  write: true,
  outdir: out,
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  assetNames: "[name]-[hash]",
  target: ["chrome123", "firefox121", "safari17.5"],
  legalComments: "none",
  logLevel: "warning",
  define: { "process.env.NODE_ENV": '"production"' },
};

/** The pages' modules, which may share chunks. */
const modules = {
  ...shared,
  entryPoints: ["src/library.ts", "src/watch.ts", "src/embed.ts", "src/statement.ts", "src/home.ts"],
  format: "esm",
  splitting: true,
};

/** Runs in the head before the first paint, so it is a classic script and stands alone. */
const early = { ...shared, entryPoints: ["src/theme.ts"], format: "iife" };

const styles = { ...shared, entryPoints: ["styles/site.css", "styles/player.css"], loader: { ".svg": "file" } };

function hashedName(file, data) {
  const { name, ext } = path.parse(file);
  return `${name}-${createHash("sha256").update(data).digest("hex").slice(0, 8).toUpperCase()}${ext}`;
}

/** Images that templates name; those that styles name are bundled with them. */
function copyImages() {
  const entries = ["favicon.svg"].map((file) => {
    const data = readFileSync(path.join(here, "images", file));
    const name = hashedName(file, data);
    writeFileSync(path.join(out, name), data);
    return [file, { file: name, imports: [] }];
  });
  return Object.fromEntries(entries);
}

/** Logical name ("watch.js") to the file, and the chunks it will import, for preloading. */
function entriesOf(metafile) {
  const outputs = metafile.outputs;
  const base = (file) => path.basename(file);
  const reached = (file, seen = new Set()) => {
    for (const item of outputs[file].imports) {
      if (item.kind !== "import-statement" || seen.has(item.path)) continue;
      seen.add(item.path);
      reached(item.path, seen);
    }
    return [...seen];
  };
  return Object.fromEntries(
    Object.entries(outputs)
      .filter(([, output]) => output.entryPoint)
      .map(([file, output]) => [
        base(output.entryPoint).replace(/\.ts$/, ".js"),
        { file: base(file), imports: reached(file).map(base) },
      ]),
  );
}

/** The packages that esbuild took code from, with their licence texts. */
function notice(metafiles) {
  const packages = new Set();
  for (const metafile of metafiles) {
    for (const input of Object.keys(metafile.inputs)) {
      const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
      if (found) packages.add(found[1]);
    }
  }
  const parts = [...packages].sort().map((name) => {
    const folder = path.join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(path.join(folder, file), "utf8").trim() : `Licence: ${license}`;
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return `The scripts in this folder contain code of these packages.\n\n${parts.join(`\n${"-".repeat(78)}\n\n`)}`;
}

function compress() {
  for (const file of readdirSync(out)) {
    if (!COMPRESSED.has(path.extname(file))) continue;
    const data = readFileSync(path.join(out, file));
    writeFileSync(path.join(out, `${file}.gz`), gzipSync(data, { level: 9 }));
    writeFileSync(path.join(out, `${file}.br`), brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  }
}

if (existsSync(out)) rmSync(out, { recursive: true });
mkdirSync(out, { recursive: true });
const results = await Promise.all([build(modules), build(early), build(styles)]);
const metafiles = results.map((result) => result.metafile);
const manifest = Object.assign({}, ...metafiles.map(entriesOf), copyImages());
writeFileSync(path.join(out, "THIRD-PARTY.txt"), notice(metafiles));
compress();
// Last: a folder without a manifest is not a finished build.
writeFileSync(path.join(out, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
