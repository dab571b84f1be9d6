// Builds the page into the Python package, so that users need no Node.
//
// The runtime's WebAssembly is shipped gzipped and unpacked by the page itself: a quarter of the
// bytes in the repository and on the wire, on any static host.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const OUT = "../engine/page/static";
const RUNTIME = "node_modules/onnxruntime-web/dist";
// On the processor, and on the graphics card: a browser loads one of them.
const BUILDS = ["ort-wasm-simd-threaded", "ort-wasm-simd-threaded.jspi"];

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory() ? filesBelow(join(folder, entry.name)) : [join(folder, entry.name)],
    )
    .sort();
}

// A digest of all sources, which a test of the Python package computes again.
function sourcesDigest(): string {
  const digest = createHash("sha256");
  const names = [...filesBelow("src"), "index.html", "package-lock.json", "vite.config.ts"];
  for (const name of names.map((path) => relative(".", path)).sort()) {
    digest.update(name).update("\0").update(readFileSync(name)).update("\0");
  }
  return digest.digest("hex");
}

function runtimeAndDigest(): Plugin {
  return {
    name: "runtime-and-digest",
    closeBundle() {
      mkdirSync(join(OUT, "runtime"), { recursive: true });
      for (const build of BUILDS) {
        const packed = gzipSync(readFileSync(join(RUNTIME, `${build}.wasm`)), { level: 9 });
        packed[9] = 255; // the gzip header's operating system: unknown, so that builds agree
        writeFileSync(join(OUT, "runtime", `${build}.wasm.gz`), packed);
        const script = readFileSync(join(RUNTIME, `${build}.mjs`));
        writeFileSync(join(OUT, "runtime", `${build}.mjs`), script);
      }
      writeFileSync(join(OUT, "sources.sha256"), `${sourcesDigest()}\n`);
    },
  };
}

function runtimeScript(name: string): string {
  return join(import.meta.dirname, RUNTIME, name);
}

export default defineConfig({
  base: "./",
  plugins: [runtimeAndDigest()],
  resolve: {
    alias: [
      { find: /^onnxruntime-web$/, replacement: runtimeScript("ort.wasm.min.mjs") },
      { find: /^onnxruntime-web\/jspi$/, replacement: runtimeScript("ort.jspi.min.mjs") },
    ],
  },
  worker: {
    format: "es",
    rollupOptions: { output: { entryFileNames: "[name].js", chunkFileNames: "[name].js" } },
  },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      output: {
        entryFileNames: "page.js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
      },
    },
  },
});
