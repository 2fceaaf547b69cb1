/** Tests of the pure parts: no browser, no server. */
import { mergeConfig } from "vitest/config";
import base from "./vite.config.ts";

export default mergeConfig(base, { test: { include: ["test/**/*.test.ts"], environment: "node" } });
