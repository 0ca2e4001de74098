import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a running process: `WATERSHED_ADMIN=http://127.0.0.1:9090 npm run dev`. */
const admin = loadEnv("", ".", "WATERSHED_")["WATERSHED_ADMIN"] ?? "http://127.0.0.1:9090";

// The binary embeds the built files under these names, and a build of the same sources must give the same bytes: no
// hashes in names, one chunk, no source maps.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    outDir: "dist",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        codeSplitting: false,
        entryFileNames: "console.js",
        assetFileNames: "console[extname]",
      },
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { port: 5173, strictPort: true, proxy: { "/api": admin } },
  test: { include: ["src/**/*.test.ts"] },
});
