import { defineConfig } from "vitest/config";

const faults = process.env.HEADWATER_FAULTS_URL ? [] : ["test/faults.test.ts"];
const live = process.env.HEADWATER_URL ? [] : ["test/live/**"];

export default defineConfig({
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    // What needs a server runs where there is one; `npm run test:faults` and `npm run test:live` fail where there is none.
    exclude: ["node_modules/**", ...faults, ...live],
    testTimeout: 30_000,
  },
});
