/**
 * How the console is built and served while it is worked on.
 *
 * Promises a `dist/` that a strict Content-Security-Policy can serve: no inline script or style, no source maps, no request to another origin.
 */
import { fileURLToPath } from "node:url";
import preact from "@preact/preset-vite";
import { defineConfig, type ProxyOptions } from "vite";

const server = process.env["HEADWATER_URL"] ?? "http://127.0.0.1:8080";

/** For the server the console is of its own origin, as it is where it serves it. */
const forward: ProxyOptions = { target: server, changeOrigin: true, headers: { origin: server } };

export default defineConfig({
  base: "/console/",
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: false })],
  resolve: {
    alias: { headwater: fileURLToPath(new URL("../sdk/typescript/src/index.ts", import.meta.url)) },
  },
  build: {
    // `light-dark()` and nesting are in these; what is older gets the page of the server's `/docs`.
    target: ["chrome123", "firefox121", "safari17.5"],
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    // The SDK is read from its sources, which are beside this directory.
    fs: { allow: [".."] },
    proxy: { "/v1": forward, "/dev": forward },
  },
});
