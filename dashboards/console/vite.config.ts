// How the console is built: old browsers of offices, files with hashed names, nothing inline.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { chunkOf } from "./build/chunks";
import { oneLanguage } from "./build/one-language";
import { shortWords } from "./build/short-words";
import { smallTemplates } from "./build/small-templates";

const hub = process.env.CITYHUB_ADDRESS ?? "127.0.0.1:8080";

export default defineConfig({
  plugins: [oneLanguage(), svelte(), shortWords(), smallTemplates()],
  define: { __BUILD__: JSON.stringify(process.env.CITYHUB_BUILD ?? "") },
  build: {
    target: ["chrome100", "firefox102", "safari15.4"],
    // The policy of the page forbids `data:` for scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One style sheet: two would repeat each other.
    cssCodeSplit: false,
    reportCompressedSize: false,
    minify: "terser",
    terserOptions: { ecma: 2020, module: true, compress: { unsafe_arrows: true, unsafe_methods: true, keep_fargs: false, passes: 2, reduce_vars: false, reduce_funcs: false, hoist_funs: true }, format: { comments: false } },
    rollupOptions: { output: { manualChunks: chunkOf, freeze: false, generatedCode: { symbols: false } } },
  },
  // Browsers before 2023 know no module workers.
  worker: { format: "iife" },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: `http://${hub}`, changeOrigin: false } },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
