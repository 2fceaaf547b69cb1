/** End-to-end tests: one browser, one server, one file after the other. */
import { mergeConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import base from "../vite.config.ts";

/** The long run is waited for late, and the server is restarted when nothing else needs it. */
const LAST = ["big.test.ts", "restart.test.ts"];

class Order extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = (file: TestSpecification) => LAST.findIndex((name) => file.moduleId.endsWith(name));
    const sorted = [...files].sort(
      (one, other) => rank(one) - rank(other) || one.moduleId.localeCompare(other.moduleId),
    );
    return Promise.resolve(sorted);
  }
}

export default mergeConfig(base, {
  test: {
    include: ["e2e/**/*.test.ts"],
    environment: "node",
    globalSetup: "e2e/setup.ts",
    fileParallelism: false,
    sequence: { sequencer: Order },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
